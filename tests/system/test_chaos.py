"""A whole stack of its own through faults of every sort, with a fixed seed: nothing lost, doubled or stuck."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from running_stack import RunningStack, stack_in_a_directory

ORDERS = 500
KINDS = (
    "broker-killed", "postgres-killed", "redis-lost", "worker-killed", "api-killed", "relay-killed",
    "executor-killed", "provider-timeouts", "half-open", "duplicate-all", "poison",
)  # fmt: skip


@pytest.fixture(scope="module")
def place() -> Iterator[RunningStack]:
    """A directory that has no stack: chaos starts and ends its own."""
    with stack_in_a_directory("orderflow-chaos-") as stack:
        yield stack


@pytest.mark.timeout(600)
def test_orders_come_through_every_sort_of_fault_and_a_seed_makes_them(place: RunningStack) -> None:
    sizes = ("--orders", str(ORDERS), "--seconds", "90", "--seed", "1")
    said = place.run("chaos", *sizes, "--faults", ",".join(KINDS), "--json", check=False, seconds=580)

    assert said.stdout, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    assert found["failures"] == []
    assert said.returncode == 0
    assert (found["seed"], found["lost"], found["doubled"], found["stuck"]) == (1, 0, 0, 0)
    assert sorted(fault["kind"] for fault in found["faults"]) == sorted(KINDS)
    assert all(fault["recovered_after_s"] >= fault["lasts_s"] for fault in found["faults"])
    assert found["accepted"] == found["completed"] + sum(found["cancelled"].values()) >= ORDERS + len(KINDS)
    assert found["cancelled"]["payment_declined"] > 0
    assert found["dead_letters"].keys() == {"unreadable", "unknown-contract", "forged"}
    assert found["absorbed_duplicates"] > 0
    assert found["messages"]["copied"] > 0
    assert found["invariants"]
    assert all(found["invariants"].values())
    assert place.remains() == []


def test_what_cannot_be_done_is_refused_in_one_line(
    place: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = place.run("chaos", "--faults", "hail", check=False)
    monkeypatch.setenv("ORDERFLOW_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ORDERFLOW_TOKEN", "somebody's")
    foreign = place.run("chaos", check=False)

    assert (unknown.returncode, foreign.returncode) == (2, 1)
    assert "there is no fault 'hail'" in unknown.stderr
    assert "say --yes" in foreign.stderr
    assert [len(each.stderr.splitlines()) for each in (unknown, foreign)] == [1, 1]


def test_a_stack_without_the_fault_proxy_says_what_it_cannot_break(stack: RunningStack) -> None:
    refused = stack.run("chaos", "--faults", "black-hole", check=False)
    left_out = stack.run(
        "chaos", "--orders", "5", "--seconds", "5", "--faults", "latency,redis-flushed", "--json"
    )

    assert refused.returncode == 1
    assert "started without the fault proxy" in refused.stderr
    found = json.loads(left_out.stdout)
    assert found["left_out"].keys() == {"latency"}
    assert [fault["kind"] for fault in found["faults"]] == ["redis-flushed"]
