"""Many orders on few goods, in batches, by several workers at once, on a real database."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import IntegrityError

from inventory_svc.domain import Details, Kind, Product, Shelves
from inventory_svc.handlers import handlers
from inventory_svc.tables import METADATA, InventoryWork
from shared_events import database
from shared_events.contract import Message, seal
from shared_events.contracts.inventory import (
    CatalogueSnapshotRequested,
    CommitStock,
    KeepReservation,
    ReleaseStock,
    ReserveStock,
)
from shared_events.contracts.values import Line, Money
from shared_events.crash_guard import CrashGuard
from shared_events.delivery import Delivery
from shared_events.effect import Transaction
from shared_events.outbox import celery_body, route
from shared_events.parcel import Parcel
from shared_events.publisher import Outcome, Publisher
from shared_events.runtime import Ending, Runtime
from shared_events.topology import work_queue

BATCH, WORKERS = 50, 4
PRICE = Money(1200, "EUR")

BROKEN_RULES = """
    SELECT sku, on_hand, reserved,
           (SELECT coalesce(sum(quantity), 0) FROM stock_movements m WHERE m.sku = stock.sku) AS moved,
           (SELECT coalesce(sum(quantity), 0) FROM reservation_lines l JOIN reservations r USING (order_id)
             WHERE l.sku = stock.sku AND r.status = 'held') AS held
    FROM stock
"""


class Retries(Publisher):
    """Stands where the broker would: takes every copy, and keeps it."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []

    def publish(self, parcels: Sequence[Parcel]) -> Outcome:
        self.parcels += parcels
        return Outcome(confirmed={parcel.id for parcel in parcels})


class Inventory:
    """The inventory's database, and workers that have the runtime and the handlers of the real one."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.retries = Retries()
        effect = Transaction(engine, handlers, InventoryWork)
        self._runtime = Runtime(work_queue("inventory"), effect, self.retries, CrashGuard(None, "inventory"))

    def has(self, **on_hand: int) -> None:
        for sku, quantity in on_hand.items():
            with database.transaction(self.engine, InventoryWork) as work:
                fill(work, sku, quantity)

    def handles(self, messages: Iterable[Message]) -> list[Ending]:
        """Handle the messages as one batch, each under a new id."""
        return [verdict.ending for verdict in self._runtime.handle([delivery(each) for each in messages])]

    def handles_at_once(self, messages: Sequence[Message]) -> None:
        """Handle the messages in batches, by several workers; what is sent to a retry comes again."""
        batches = [messages[at : at + BATCH] for at in range(0, len(messages), BATCH)]
        with ThreadPoolExecutor(WORKERS) as pool:
            endings = [ending for some in pool.map(self.handles, batches) for ending in some]
        again = [each for each, ending in zip(messages, endings, strict=True) if ending is Ending.RETRIED]
        assert set(endings) <= {Ending.APPLIED, Ending.RETRIED}
        if again:
            self.handles_at_once(again)

    def rows(self, statement: str, **values: object) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(statement), values))

    def stock(self, sku: str) -> tuple[int, int]:
        [row] = self.rows("SELECT on_hand, reserved FROM stock WHERE sku = :sku", sku=sku)
        return row.on_hand, row.reserved

    def answers(self) -> Counter[str]:
        return Counter(row.type for row in self.rows("SELECT type FROM outbox WHERE timer_key IS NULL"))

    def broken_rules(self) -> list[Any]:
        found = self.rows(BROKEN_RULES)
        return [
            row
            for row in found
            if not (
                row.on_hand == row.moved and row.reserved == row.held and 0 <= row.reserved <= row.on_hand
            )
        ]


def fill(shelves: Shelves, sku: str, quantity: int) -> None:
    shelves.introduce(Product(sku, Details(sku.title(), "", PRICE, active=True)))
    if quantity:
        shelves.shift(sku, Kind.RECEIVE, quantity)


def delivery(message: Message) -> Delivery:
    envelope = seal(message, correlation_id=uuid4())
    exchange, routing_key = route(message)
    headers = {"id": str(envelope.id), "task": envelope.type}
    body = celery_body(envelope)
    return Delivery(body, headers, "application/json", "utf-8", envelope.source, exchange, routing_key)


def reserve(order: UUID, *lines: Line, hold_s: float = 3600.0) -> ReserveStock:
    return ReserveStock(order_id=order, lines=lines, hold_s=hold_s)


@pytest.fixture(scope="module")
def engine(servers: Any) -> Iterator[Engine]:
    made = database.engine(servers.access.database_url("inventory"), pool_size=WORKERS + 1, process="test")
    yield made
    made.dispose()


@pytest.fixture
def inventory(engine: Engine) -> Inventory:
    with engine.begin() as connection:
        connection.execute(
            text("TRUNCATE products, stock, stock_movements, reservations, reservation_lines, outbox, inbox")
        )
    return Inventory(engine)


@pytest.fixture
def statements(engine: Engine) -> Iterator[list[str]]:
    """Every statement that is executed meanwhile."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def test_as_many_as_there_are_get_the_last_pieces(inventory: Inventory) -> None:
    inventory.has(MUG=120)

    inventory.handles_at_once([reserve(uuid4(), Line("MUG", 1)) for _ in range(400)])

    assert inventory.stock("MUG") == (120, 120)
    assert inventory.answers() == {"inventory.stock_reserved": 120, "inventory.stock_rejected": 280}
    assert inventory.broken_rules() == []


def test_orders_that_share_goods_in_any_order_never_oversell(inventory: Inventory) -> None:
    inventory.has(LAMP=60, MUG=60, DESK=60)
    chance = random.Random(1)
    skus = ["LAMP", "MUG", "DESK"]
    wanted = [chance.sample(skus, chance.randint(1, 3)) for _ in range(300)]

    inventory.handles_at_once(
        [reserve(uuid4(), *(Line(sku, chance.randint(1, 2)) for sku in order)) for order in wanted]
    )

    assert inventory.broken_rules() == []
    assert sum(inventory.answers().values()) == 300
    assert all(inventory.stock(sku)[1] >= 59 for sku in skus)  # one piece may be too few for the last


@pytest.mark.parametrize("seed", range(3))
def test_commands_that_race_each_other_leave_every_sum_right(inventory: Inventory, seed: int) -> None:
    inventory.has(LAMP=40, MUG=40, DESK=40)
    chance = random.Random(seed)
    messages: list[Message] = []
    orders = [uuid4() for _ in range(60)]
    for order in orders:
        lines = tuple(Line(sku, 1) for sku in sorted(chance.sample(["LAMP", "MUG", "DESK"], 2)))
        messages += [reserve(order, *lines)] * 2
        messages += [CommitStock(order_id=order, lines=lines)] * chance.randint(0, 2)
        messages += [ReleaseStock(order_id=order)] * chance.randint(0, 2)
    chance.shuffle(messages)

    inventory.handles_at_once(messages)
    assert inventory.broken_rules() == []
    assert inventory.rows("SELECT count(*) AS n FROM reservations")[0].n == len(orders)

    inventory.handles_at_once([ReleaseStock(order_id=order) for order in orders])
    assert inventory.broken_rules() == []
    assert [inventory.stock(sku) for sku in ("LAMP", "MUG", "DESK")] == [(40, 0)] * 3


def test_a_batch_costs_a_handful_of_statements(inventory: Inventory, statements: list[str]) -> None:
    inventory.has(LAMP=500, MUG=500)
    orders = [uuid4() for _ in range(BATCH)]
    lines = (Line("LAMP", 1), Line("MUG", 2))
    batches: dict[str, list[Message]] = {
        "reserve": [reserve(order, *lines) for order in orders],
        "commit": [CommitStock(order_id=order, lines=lines) for order in orders],
        "release": [ReleaseStock(order_id=order) for order in orders],
        "undo nothing": [ReleaseStock(order_id=uuid4()) for _ in orders],
    }
    costs = {}

    for name, batch in batches.items():
        statements.clear()
        assert set(inventory.handles(batch)) == {Ending.APPLIED}
        costs[name] = len(statements)

    assert costs["reserve"] <= 7
    assert costs["commit"] <= 9
    assert costs["release"] <= 9
    assert costs["undo nothing"] <= 4


def test_a_message_that_the_database_refuses_hurts_only_itself(
    inventory: Inventory, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "shared_events.effect")
    inventory.has(MUG=100)
    good = [reserve(uuid4(), Line("MUG", 1)) for _ in range(9)]

    endings = inventory.handles([*good, reserve(uuid4(), Line("MUG", -5))])

    assert endings == [Ending.APPLIED] * 9 + [Ending.RETRIED]
    assert inventory.stock("MUG") == (100, 9)
    assert inventory.answers() == {"inventory.stock_reserved": 9}
    handled = [about for record in caplog.records for about in vars(record).get("each", [])]
    assert len({about["message_id"] for about in handled}) == len(handled) == 9


def test_the_database_refuses_to_oversell_whatever_the_code_does(inventory: Inventory) -> None:
    inventory.has(MUG=1)

    with pytest.raises(IntegrityError, match="never_oversold"), inventory.engine.begin() as connection:
        connection.execute(text("UPDATE stock SET reserved = 2"))


def test_the_hold_is_a_timer_that_waits_once_and_ends_with_the_hold(inventory: Inventory) -> None:
    inventory.has(MUG=5)
    order = uuid4()
    waiting = """
        SELECT round(extract(epoch FROM available_at - now()) / 60) AS minutes,
               round(extract(epoch FROM hold_until - now()) / 60) AS held_minutes
        FROM outbox, reservations WHERE timer_key = 'hold:' || order_id
    """

    inventory.handles([reserve(order, Line("MUG", 1), hold_s=600)])
    assert inventory.rows(waiting) == [(10, 10)]

    inventory.handles([KeepReservation(order_id=order, hold_s=1800)])
    assert inventory.rows(waiting) == [(30, 30)]

    inventory.handles([ReleaseStock(order_id=order)])
    assert inventory.rows(waiting) == []


def test_a_snapshot_sends_every_product_in_parts(inventory: Inventory) -> None:
    inventory.has(**{f"SKU-{number}": 0 for number in range(205)})

    inventory.handles([CatalogueSnapshotRequested()])

    sent = inventory.rows("SELECT subject, type FROM outbox WHERE type <> 'inventory.product_changed'")
    assert inventory.answers()["inventory.product_changed"] == 200
    assert sent == [(sorted(f"SKU-{number}" for number in range(205))[199], "inventory.snapshot_due")]


def test_the_database_and_memory_agree(inventory: Inventory) -> None:
    """The same messages, on rows and on shelves in memory, give the same answers and the same state."""
    chance, memory = random.Random(7), Shelves()
    inventory.has(LAMP=9, MUG=6)
    fill(memory, "LAMP", 9)
    fill(memory, "MUG", 6)
    orders = [uuid4() for _ in range(8)]
    for _ in range(6):
        batch = [_any_command(chance, orders) for _ in range(10)]
        said: list[Message] = []
        for message in batch:
            handler = handlers.get(_type(message))
            assert handler is not None
            said += [each for each in handler(message, memory) if isinstance(each, Message)]
        with inventory.engine.begin() as connection:
            connection.execute(text("DELETE FROM outbox WHERE timer_key IS NULL"))

        inventory.handles(batch)

        assert inventory.answers() == Counter(_type(each) for each in said)
    for sku, stock in memory.stock.items():
        assert inventory.stock(sku) == (stock.on_hand, stock.reserved)
    assert {row.order_id: row.status for row in inventory.rows("SELECT * FROM reservations")} == {
        each.order_id: each.status.value for each in memory.reservations.values()
    }


def test_the_migrations_make_the_tables_that_the_code_expects(inventory: Inventory) -> None:
    def ours(thing: Any, name: str | None, kind: str, *_: Any) -> bool:
        return kind != "table" or name in METADATA.tables

    with inventory.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        differences = compare_metadata(context, METADATA)

    # Changes of one column come as a list; comments are for readers of the code only.
    flat = [each for group in differences for each in (group if isinstance(group, list) else [group])]
    assert [each for each in flat if each[0] != "modify_comment"] == []


def _any_command(chance: random.Random, orders: list[UUID]) -> Message:
    order = chance.choice(orders)
    lines = (Line("LAMP", 1 + order.int % 3), Line("MUG", 1))
    return cast(
        "Message",
        chance.choice(
            [
                reserve(order, *lines),
                CommitStock(order_id=order, lines=lines),
                ReleaseStock(order_id=order),
                KeepReservation(order_id=order, hold_s=60),
            ]
        ),
    )


def _type(message: Message) -> str:
    return delivery(message).name
