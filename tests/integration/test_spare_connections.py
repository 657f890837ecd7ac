"""The intake's connections stay ready between orders, and none is used again once its server is gone."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from orders_svc.tables import OrdersWork
from shared_events import database
from shared_events.spare import Spare
from shared_events.statements import run
from shared_events.writes import over_rows

_ORDER = """
    INSERT INTO orders (id, customer_id, status, lines, total_amount, currency, payment_method, shipping_address,
                        metadata, saga, created_at)
    VALUES (gen_random_uuid(), gen_random_uuid(), 'cancelled', '[]', 0, 'EUR', 'tok_visa', '{}', '{}', '{}', now())
    RETURNING id
"""
_ENTRY = over_rows(
    "order_id uuid, at timestamptz, event text, detail text",
    "INSERT INTO order_entries (order_id, at, event, detail) SELECT * FROM {rows}",
)
_WRITTEN = "SELECT event, xmin::text::bigint AS transaction FROM order_entries WHERE order_id = %(order)s"


@pytest.fixture
def engine(servers: Any) -> Iterator[Engine]:
    made = database.engine(servers.access.database_url("orders"), pool_size=3, process="test")
    yield made
    made.dispose()


def _pid(work: OrdersWork) -> int:
    return int(run(work.connection, "SELECT pg_backend_pid() AS pid")[0].pid)


def test_a_connection_is_used_again_and_each_statement_is_a_transaction(engine: Engine) -> None:
    spare = Spare(engine)
    with spare.one_statement(OrdersWork) as work:
        first = _pid(work)

    with spare.one_statement(OrdersWork) as work:
        again = _pid(work)
        transactions = {run(work.connection, "SELECT pg_current_xact_id() AS it")[0].it for _ in range(2)}

    assert again == first
    assert len(transactions) == 2
    assert engine.pool.checkedout() == 1  # type: ignore[attr-defined]  # a QueuePool


def test_a_connection_on_which_something_failed_goes_back_to_the_pool(engine: Engine) -> None:
    spare = Spare(engine)

    with pytest.raises(DBAPIError), spare.one_statement(OrdersWork) as work:
        run(work.connection, "SELECT 1 / 0")

    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # a QueuePool


def test_when_the_server_is_gone_all_idle_connections_are_given_up(engine: Engine) -> None:
    spare = Spare(engine)
    with spare.one_statement(OrdersWork) as one, spare.one_statement(OrdersWork) as other:
        pids = {_pid(one), _pid(other)}
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        run(
            connection,
            "SELECT pg_terminate_backend(pid) FROM unnest(%(pids)s::int[]) AS pid",
            {"pids": list(pids)},
        )

    with pytest.raises(DBAPIError) as lost, spare.one_statement(OrdersWork) as work:
        _pid(work)
    with spare.one_statement(OrdersWork) as one, spare.one_statement(OrdersWork) as other:
        new = {_pid(one), _pid(other)}

    assert database.is_lost(lost.value)
    assert not new & pids


def _entry(work: OrdersWork, order_id: UUID, event: str) -> None:
    rows = [{"order_id": order_id, "at": datetime.now(UTC), "event": event, "detail": ""}]
    work.write(_ENTRY, rows)


@pytest.fixture
def order_id(engine: Engine) -> UUID:
    """An order for entries to be about."""
    with engine.begin() as connection:
        made: UUID = run(connection, _ORDER)[0].id
        return made


def _entries(engine: Engine, order_id: UUID) -> list[tuple[str, int]]:
    with engine.begin() as connection:
        found = run(connection, _WRITTEN, {"order": order_id})
        return [(row.event, row.transaction) for row in found]


def _at_once(engine: Engine, events: dict[str, UUID]) -> dict[str, Exception | None]:
    """Write each from a thread of its own while one statement is still under way; return what came of each."""
    spare, outcomes = Spare(engine), dict[str, Exception | None]()

    def write(event: str, order: UUID) -> None:
        try:
            with spare.one_statement(OrdersWork) as work:
                _entry(work, order, event)
                ready.wait()
            outcomes[event] = None
        except DBAPIError as error:
            outcomes[event] = error

    ready = threading.Barrier(len(events))
    threads = [threading.Thread(target=write, args=pair) for pair in events.items()]
    spare._group._somebody_leads = True
    for thread in threads:
        thread.start()
    while len(spare._group._waiting) < len(events):
        time.sleep(0.001)
    spare._group._waiting[0].turn.release()
    for thread in threads:
        thread.join()
    return outcomes


def test_what_is_written_at_once_is_one_transaction(engine: Engine, order_id: UUID) -> None:
    outcomes = _at_once(engine, dict.fromkeys("abc", order_id))

    written = _entries(engine, order_id)
    assert outcomes == {"a": None, "b": None, "c": None}
    assert sorted(event for event, _ in written) == ["a", "b", "c"]
    assert len({transaction for _, transaction in written}) == 1


def test_one_that_the_database_refuses_takes_none_of_the_others_with_it(
    engine: Engine, order_id: UUID
) -> None:
    outcomes = _at_once(engine, {"a": order_id, "of no order": uuid4(), "c": order_id})

    assert isinstance(outcomes["of no order"], IntegrityError)
    assert (outcomes["a"], outcomes["c"]) == (None, None)
    assert sorted(event for event, _ in _entries(engine, order_id)) == ["a", "c"]


def test_what_nobody_is_to_blame_for_is_waited_for_once(engine: Engine, order_id: UUID) -> None:
    with engine.begin() as connection:
        run(connection, "LOCK TABLE order_entries")
        began = time.monotonic()
        outcomes = _at_once(engine, dict.fromkeys("ab", order_id))
        waited_s = time.monotonic() - began

    assert {type(error) for error in outcomes.values()} == {OperationalError}
    assert waited_s < 8, "5 s is lock_timeout"
    assert _entries(engine, order_id) == []
