"""What operators do about work that waits or died, by `./orderflow` on a whole running stack."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from buyer import Buyer
from running_stack import RunningStack, eventually
from sqlalchemy import Engine

from local_stack import client
from shared_events import database, dead_letters
from shared_events.contract import seal
from shared_events.contracts.inventory import ReserveStock
from shared_events.contracts.values import Line
from shared_events.delivery import Delivery
from shared_events.outbox import celery_body
from shared_events.publisher import connect


@pytest.fixture(scope="module")
def alice(stack: RunningStack) -> Buyer:
    return Buyer(stack)


@pytest.fixture
def engines(stack: RunningStack) -> Iterator[dict[str, Engine]]:
    access = client.access(stack.data)
    made = {
        service: database.engine(access.database_url(service), pool_size=1, process="test")
        for service in ("orders", "inventory")
    }
    yield made
    for engine in made.values():
        engine.dispose()


def told(stack: RunningStack, *arguments: str) -> dict[str, Any]:
    """Return the document that a command prints, whatever its status."""
    return dict(json.loads(stack.run(*arguments, "--json", check=False).stdout))


def lose(stack: RunningStack, queue: str) -> None:
    connection = connect(client.access(stack.data).broker_url(queue))
    try:
        assert connection.channel().queue_purge(queue)
    finally:
        connection.close()


def test_an_order_says_for_whom_it_waits_and_healing_asks_again_for_what_got_lost(
    stack: RunningStack, alice: Buyer, engines: dict[str, Engine]
) -> None:
    sku = alice.stocked(1)
    stack.run("stop", "inventory-worker")
    order_id = alice.order(sku).json()["id"]

    def waits_for() -> str:
        return " ".join(told(stack, "order", order_id)["waits_for"])

    assert eventually(lambda: "inventory-worker is away (its queue has no consumer)" in waits_for())
    assert "inventory's answer to reserve_stock, for " in waits_for()
    assert "; given up in 2" in waits_for()  # 24 hours
    assert eventually(lambda: stack.process("inventory-worker")["state"] == "stopped")
    lose(stack, "inventory")
    with engines["orders"].begin() as connection:  # as if a while ago: what is fresh is left alone
        moved = "UPDATE order_entries SET at = at - interval '1 minute' WHERE order_id = %(id)s"
        connection.exec_driver_sql(moved, {"id": UUID(order_id)})
    stack.run("start", "inventory-worker")

    dry = told(stack, "check", "--heal", "--dry-run")
    found = [each["waits_for"] for each in dry["settling"] if each["about"] == order_id]
    assert any("inventory's answer to reserve_stock, for " in each for each in found), found
    asked = {"service": "orders", "order_id": order_id, "did": "asked again: Inventory to reserve the stock"}
    assert asked in dry["healed"]
    assert alice.get(f"/v1/orders/{order_id}").json()["status"] == "pending"

    assert asked in told(stack, "check", "--heal", "--reason", "a queue was purged")["healed"]
    (order,) = alice.final([order_id])
    assert order["status"] == "completed"
    assert "healed  by operator@orderflow.local: a queue was purged" in stack.run("order", order_id).stdout


def dead_letter(engine: Engine, order_id: str, sku: str) -> None:
    """Let Inventory have failed on a command of this order. The order is completed: a replay finds that."""
    journey = UUID(order_id)
    command = ReserveStock(order_id=journey, lines=(Line(sku, 1),), hold_s=60.0)
    envelope = seal(command, correlation_id=journey)
    headers = {"task": envelope.type, "id": str(envelope.id), "x-dead-traceback": "Traceback: a bug"}
    delivery = Delivery(
        celery_body(envelope), headers, "application/json", "utf-8", "orders", "messages", envelope.type
    )
    with engine.begin() as connection:
        dead_letters.bury(connection, "inventory", [(delivery, "a bug", "a bug, as a test")])


def test_dead_letters_are_listed_shown_replayed_and_discarded(
    stack: RunningStack, alice: Buyer, engines: dict[str, Engine]
) -> None:
    sku = alice.stocked(1)
    (order,) = alice.final([alice.order(sku).json()["id"]])
    mine = ("--order", order["id"])
    for _ in range(2):
        dead_letter(engines["inventory"], order["id"], sku)

    listed = told(stack, "dead-letters", "list", *mine)
    assert [(each["cause"], each["count"]) for each in listed["causes"]] == [("a bug", 2)]
    first, second = (each["id"] for each in listed["items"])
    shown = stack.run("dead-letters", "show", first).stdout
    for words in (
        "Traceback: a bug",
        "inventory.reserve_stock",
        "the story around it",
        "payments.capture_payment",
    ):
        assert words in shown

    dry = told(stack, "dead-letters", "replay", *mine, "--dry-run")
    assert (dry["dry_run"], dry["count"]) == (True, 2)
    assert told(stack, "dead-letters", "replay", "--id", first, "--reason", "mended")["count"] == 1
    again = stack.run("dead-letters", "replay", "--id", first, "--reason", "twice", check=False)
    assert (again.returncode, "409" in again.stderr) == (1, True)
    assert told(stack, "dead-letters", "discard", *mine, "--reason", "a test")["count"] == 1

    assert told(stack, "dead-letters", "list", *mine)["count"] == 0
    closed = told(stack, "dead-letters", "list", *mine, "--status", "any")["items"]
    assert {each["id"]: (each["status"], each["resolved_by"], each["resolution"]) for each in closed} == {
        first: ("replayed", "operator@orderflow.local", "mended"),
        second: ("discarded", "operator@orderflow.local", "a test"),
    }
