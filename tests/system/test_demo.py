"""The verbs by which a newcomer believes it: demo, check, order, dead-letters."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from buyer import Buyer
from running_stack import RunningStack, eventually

from local_stack import client


def demo(stack: RunningStack, *options: str) -> dict[str, Any]:
    """Run a demo; standard output is exactly one document."""
    return dict(json.loads(stack.run("demo", "--json", *options, seconds=240).stdout))


def test_a_second_demo_comes_to_the_same_counts_through_the_same_trouble(stack: RunningStack) -> None:
    first, second = demo(stack, "--orders", "60"), demo(stack, "--orders", "60")

    same = ("orders", "completed", "cancelled", "duplicates_refused")
    assert {name: first[name] for name in same} == {name: second[name] for name in same}
    assert first["cancelled"] == {"out_of_stock": 3, "payment_declined": 6}
    assert first["duplicates_refused"] == 6
    assert 0 < first["confirmed_ms"]["p50"] <= first["confirmed_ms"]["p99"]
    assert "kill -9 orders-worker" in first["faults"][0]
    assert "inventory stopped" in first["faults"][1]
    assert first["invariants"]
    assert all(first["invariants"].values())


def test_without_a_terminal_the_demo_speaks_in_plain_lines_and_ends_with_a_table(stack: RunningStack) -> None:
    said = stack.run("demo", "--orders", "10", "--calm").stdout

    assert "\x1b" not in said
    assert "10 accepted · 0 lost" in said
    assert "Nothing lost, nothing doubled" in said


def test_a_deployment_without_the_development_key_is_not_ordered_from(
    stack: RunningStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERFLOW_URL", stack.url)
    monkeypatch.setenv("ORDERFLOW_TOKEN", stack.token("--scope", "staff ops"))

    refused = RunningStack(tmp_path).run("demo", check=False)
    found = demo(RunningStack(tmp_path), "--orders", "5", "--yes")

    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    assert found["completed"] == 3  # one of the rest lacks stock, one is declined
    assert "ORDERFLOW_AUDIT_ORDERS_URL" in found["left_out"]["all"]


def test_check_names_an_order_that_was_promised_and_is_none(stack: RunningStack) -> None:
    promise = {"deployment": "local", "subject": "x", "key": "k", "id": str(uuid.uuid4())}
    ledger = stack.data / "accepted" / "by-hand.jsonl"
    ledger.parent.mkdir(exist_ok=True)
    ledger.write_text(json.dumps(promise) + "\n")

    result = stack.run("check", "--only", "orders", "--json", check=False)
    ledger.unlink()

    assert result.returncode == 1
    report = json.loads(result.stdout)
    assert [each["about"] for each in report["broken"]] == [promise["id"]]
    assert report["invariants"]["accepted_orders_exist"] is False
    assert stack.run("check").returncode == 0


def test_an_order_tells_whom_it_waits_for_and_later_how_long_it_waited(stack: RunningStack) -> None:
    buyer = Buyer(stack)
    stack.run("stop", "inventory")
    order_id = buyer.order("LAMP").json()["id"]

    waiting = json.loads(stack.run("order", order_id, "--json").stdout)
    settling = json.loads(stack.run("check", "--only", "orders", "--json").stdout)["settling"]
    at_rest = stack.run("check", "--at-rest", check=False).returncode
    stack.run("start", "inventory")
    told = stack.run("order", order_id, "--follow").stdout

    assert [its.partition(",")[0] for its in waiting["waits_for"]] == ["inventory's answer to reserve_stock"]
    assert "inventory" in waiting["missing"]
    assert [each["about"] for each in settling] == [order_id]
    assert settling[0]["waits_for"].startswith("inventory's answer to reserve_stock, for ")
    assert at_rest == 1
    assert "s for inventory" in told
    assert "completed" in told


def test_dead_letters_are_listed_by_cause_shown_replayed_and_discarded(stack: RunningStack) -> None:
    _publish_garbage(stack)
    assert eventually(lambda: _dead(stack)["count"] == 2)

    [group] = _dead(stack)["causes"]
    dead_letter_id = _dead(stack)["items"][0]["id"]
    shown = stack.run("dead-letters", "show", dead_letter_id).stdout
    dry = stack.run("dead-letters", "replay", "--cause", "unreadable", "--dry-run").stdout
    replayed = stack.run("dead-letters", "replay", "--service", "inventory", "--reason", "mended").stdout
    assert eventually(lambda: _dead(stack)["count"] == 2)  # they died again: nothing was mended
    discarded = stack.run("dead-letters", "discard", "--all", "--reason", "made by a test").stdout

    assert (group["service"], group["cause"], group["count"]) == ("inventory", "unreadable", 2)
    assert "garbage" in shown
    assert "would be replayed: 2" in dry
    assert "replayed: 2" in replayed
    assert "discarded: 2" in discarded
    assert _dead(stack)["count"] == 0
    assert stack.run("check", "--only", "messages").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "--only", "weather"),
        ("order", "not-an-id"),
        ("dead-letters", "replay"),
        ("dead-letters", "discard", "--all"),
        ("demo", "--orders", "0"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = RunningStack(tmp_path).run(*arguments, check=False)

    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("check",), ("order", str(uuid.uuid4())), ("dead-letters", "list")])
def test_without_a_stack_the_verbs_say_so_in_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = RunningStack(tmp_path).run(*arguments, check=False)

    assert result.returncode == 1
    assert "no stack runs" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def _dead(stack: RunningStack) -> dict[str, Any]:
    return dict(json.loads(stack.run("dead-letters", "list", "--json").stdout))


def _publish_garbage(stack: RunningStack) -> None:
    import amqp

    from shared_events.publisher import connect

    connection = connect(client.access(stack.data).broker_url("orders"))
    channel = connection.channel()
    for _ in range(2):
        message = amqp.Message("garbage", content_type="application/json", content_encoding="utf-8")
        channel.basic_publish(message, exchange="messages", routing_key="inventory.reserve_stock")
    connection.close()
