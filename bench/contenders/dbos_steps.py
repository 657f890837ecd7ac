"""DBOS Transact with less of it: the same workflow, its database work in plain steps.

A step is repeated if the process dies after its commit and before its checkpoint; that it takes effect once is then
our own doing: a row that is there already says so.
"""

from contextlib import suppress
from typing import Any

from dbos import DBOS
from flask import Flask
from psycopg.errors import UniqueViolation
from psycopg_pool import ConnectionPool

from bench.contenders import databases, pools, shop
from bench.contenders.dbos_process import THREADS, api_of, launch, url
from bench.contenders.shop import Order
from bench.contenders.simulator import Simulator
from shared_events import environment

NAME = "dbos-steps"


class _Process:
    """What the steps of a process share."""

    pools: dict[str, "ConnectionPool[Any]"]
    provider: Simulator

    def run(self, service: str, statement: str, parameters: Any) -> int:
        """Run a statement of one transaction; return how many rows it changed."""
        with self.pools[service].connection() as connection:
            return int(connection.execute(statement, parameters).rowcount)


its = _Process()


@DBOS.workflow()
def checkout(order: Order) -> None:
    """Take an accepted order through all steps."""
    if not reserve(order):
        refuse(order)
        return
    paid = authorize(order)
    if paid is None:
        release(order)
        refuse(order)
        return
    commit(order)
    capture(paid)
    complete(order)


@DBOS.step()
def reserve(order: Order) -> bool:
    """Set every line aside, or none."""
    try:
        return its.run("inventory", shop.RESERVE, shop.wanted(order)) > 0
    except UniqueViolation:
        return True


@DBOS.step()
def authorize(order: Order) -> Order | None:
    """Hold the money; return the order with the provider's reference, or None if it refuses."""
    paid = shop.authorized(order, its.provider.ask(*shop.authorization(order)))
    if paid is not None:
        with suppress(UniqueViolation):
            its.run("payments", shop.AUTHORIZED, paid)
    return paid


@DBOS.step()
def commit(order: Order) -> None:
    """Take the goods off the shelf."""
    its.run("inventory", shop.COMMIT, order)


@DBOS.step()
def capture(order: Order) -> None:
    """Take the money."""
    shop.approved(its.provider.ask(*shop.capture(order)))
    its.run("payments", shop.CAPTURED, order)


@DBOS.step()
def complete(order: Order) -> None:
    """Finish the order."""
    its.run("orders", shop.COMPLETE, order)


@DBOS.step()
def release(order: Order) -> None:
    """Give the goods back."""
    its.run("inventory", shop.RELEASE, order)


@DBOS.step()
def refuse(order: Order) -> None:
    """End the order without goods and money."""
    its.run("orders", shop.REFUSE, order)


def create_app() -> Flask:
    """Return the API, with DBOS running in its process."""
    its.provider = Simulator(environment.text("ORDERFLOW_PROVIDER_URL"))
    its.pools = {
        service: pools.connections(url(name), THREADS) for service, name in databases.names(NAME).items()
    }
    launch(NAME)
    return api_of(checkout)
