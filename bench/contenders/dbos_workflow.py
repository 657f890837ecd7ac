"""DBOS Transact: a durable workflow in the API's own process, its database work in datasource transactions.

That is how its documentation has it done: each transaction commits DBOS's checkpoint beside the rows that it
changed, in the same database, so that it takes effect once even if the process dies. A provider call is a step.
"""

from typing import Any

import sqlalchemy
from dbos import DBOS, SQLAlchemyDatasource
from flask import Flask

from bench.contenders import databases, shop
from bench.contenders.dbos_process import THREADS, api_of, launch, url
from bench.contenders.shop import Order
from bench.contenders.simulator import Simulator
from shared_events import environment

NAME = "dbos"


class _Process:
    """What the steps of a process share."""

    sources: dict[str, SQLAlchemyDatasource]
    provider: Simulator

    def run(self, service: str, name: str, statement: str, parameters: Any) -> int:
        """Run a statement as a step of its own; return how many rows it changed."""
        source = self.sources[service]

        def body() -> int:
            return source.sql_session().connection().exec_driver_sql(statement, parameters).rowcount

        return source.run_tx_step({"name": name, "isolation_level": "READ COMMITTED"}, body)


its = _Process()


@DBOS.workflow()
def checkout(order: Order) -> None:
    """Take an accepted order through all steps."""
    if not its.run("inventory", "reserve", shop.RESERVE, shop.wanted(order)):
        its.run("orders", "refuse", shop.REFUSE, order)
        return
    paid = hold_money(order)
    if paid is None:
        its.run("inventory", "release", shop.RELEASE, order)
        its.run("orders", "refuse", shop.REFUSE, order)
        return
    its.run("payments", "authorized", shop.AUTHORIZED, paid)
    its.run("inventory", "commit", shop.COMMIT, order)
    take_money(paid)
    its.run("payments", "captured", shop.CAPTURED, order)
    its.run("orders", "complete", shop.COMPLETE, order)


@DBOS.step()
def hold_money(order: Order) -> Order | None:
    """Ask the provider to hold the money; return the order with its reference, or None if it refuses."""
    return shop.authorized(order, its.provider.ask(*shop.authorization(order)))


@DBOS.step()
def take_money(order: Order) -> None:
    """Ask the provider to take the money held."""
    shop.approved(its.provider.ask(*shop.capture(order)))


def create_app() -> Flask:
    """Return the API, with DBOS running in its process."""
    its.provider = Simulator(environment.text("ORDERFLOW_PROVIDER_URL"))
    its.sources = {service: _source(name) for service, name in databases.names(NAME).items()}
    launch(NAME)
    return api_of(checkout)


def _source(database: str) -> SQLAlchemyDatasource:
    address = sqlalchemy.make_url(url(database)).set(drivername="postgresql+psycopg")
    options = {"pool_size": THREADS, "connect_args": {"prepare_threshold": 0}}
    return SQLAlchemyDatasource.create(address.render_as_string(hide_password=False), engine_kwargs=options)
