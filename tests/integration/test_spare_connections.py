"""The intake's connections stay ready between orders, and none is used again once its server is gone."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from orders_svc.tables import OrdersWork
from shared_events import database
from shared_events.statements import run


@pytest.fixture
def engine(servers: Any) -> Iterator[Engine]:
    made = database.engine(servers.access.database_url("orders"), pool_size=3, process="test")
    yield made
    made.dispose()


def _pid(work: OrdersWork) -> int:
    return int(run(work.connection, "SELECT pg_backend_pid() AS pid")[0].pid)


def test_a_connection_is_used_again_and_each_statement_is_a_transaction(engine: Engine) -> None:
    spare = database.Spare(engine)
    with spare.one_statement(OrdersWork) as work:
        first = _pid(work)

    with spare.one_statement(OrdersWork) as work:
        again = _pid(work)
        transactions = {run(work.connection, "SELECT pg_current_xact_id() AS it")[0].it for _ in range(2)}

    assert again == first
    assert len(transactions) == 2
    assert engine.pool.checkedout() == 1  # type: ignore[attr-defined]  # a QueuePool


def test_a_connection_on_which_something_failed_goes_back_to_the_pool(engine: Engine) -> None:
    spare = database.Spare(engine)

    with pytest.raises(DBAPIError), spare.one_statement(OrdersWork) as work:
        run(work.connection, "SELECT 1 / 0")

    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # a QueuePool


def test_when_the_server_is_gone_all_idle_connections_are_given_up(engine: Engine) -> None:
    spare = database.Spare(engine)
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
