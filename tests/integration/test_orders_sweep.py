"""Orders without progress, on a real database: found, and each repeated by a message of its own."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from uuid_utils.compat import uuid7

from orders_svc.domain import Order, OrderLine
from orders_svc.handlers import handlers
from orders_svc.saga import Deadlines, checkout
from orders_svc.tables import OrdersWork
from shared_events import database
from shared_events.contract import Message, contract_of, seal
from shared_events.contract import Received as Got
from shared_events.contracts.inventory import StockReserved
from shared_events.contracts.orders import OrderSweepDue, SweepDue
from shared_events.contracts.values import Money
from shared_events.effect import Attempt, Transaction

TABLE = handlers(Deadlines())


@pytest.fixture
def engine(servers: Any) -> Iterator[Engine]:
    made = database.engine(servers.access.database_url("orders"), pool_size=2, process="test")
    with made.begin() as connection:
        connection.execute(text("TRUNCATE orders, order_entries, outbox, inbox CASCADE"))
    yield made
    made.dispose()


def placed(engine: Engine) -> UUID:
    """Return an order that was accepted an hour ago, whose messages and timers all got lost."""
    order = Order(
        id=uuid7(),
        customer_id=uuid7(),
        lines=(OrderLine("LAMP", "Lamp", 1, 100),),
        total=Money(100, "EUR"),
        payment_method="tok_visa",
        shipping_address={},
        created_at=datetime.now(UTC),
    )
    with database.transaction(engine, OrdersWork) as work:
        work.add(order)
        work.emit(order.place(checkout(Deadlines()), work.now))
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM outbox"))
        connection.execute(text("UPDATE orders SET updated_at = now() - interval '1 hour'"))
    return order.id


def take(engine: Engine, *messages: Message) -> None:
    """Let Orders' worker take these in one batch."""
    got = [Got(seal(message, correlation_id=uuid7()), message) for message in messages]
    Transaction(engine, TABLE, OrdersWork)([Attempt(each, 1) for each in got])


def waiting(engine: Engine) -> set[tuple[str, UUID]]:
    with engine.connect() as connection:
        return {tuple(row) for row in connection.execute(text("SELECT type, correlation_id FROM outbox"))}


def test_a_sweep_finds_an_order_without_progress_once_and_repeats_what_it_waits_for(engine: Engine) -> None:
    order_id = placed(engine)

    take(engine, SweepDue())
    take(engine, SweepDue())

    assert (contract_of(OrderSweepDue).type, order_id) in waiting(engine)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT count(*) FROM outbox WHERE type = 'orders.order_sweep_due'"))
        assert found.scalar_one() == 1

    take(engine, OrderSweepDue(order_id=order_id))

    assert ("inventory.reserve_stock", order_id) in waiting(engine)
    assert ("orders.step_timed_out", order_id) in waiting(engine)


def test_a_reply_and_a_sweep_in_one_batch_leave_the_order_where_the_reply_took_it(engine: Engine) -> None:
    order_id = placed(engine)

    take(engine, StockReserved(order_id=order_id), SweepDue())

    with engine.connect() as connection:
        assert connection.execute(text("SELECT status FROM orders")).scalar_one() == "reserved"


def test_a_sweep_of_an_order_that_is_final_does_nothing(engine: Engine) -> None:
    order_id = placed(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE orders SET status = 'completed'"))

    take(engine, OrderSweepDue(order_id=order_id))

    assert waiting(engine) == set()
