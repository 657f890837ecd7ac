"""A chain of Celery tasks with results in Redis, as it is often written: a task a step, a queue a service.

No outbox and no inbox: the API commits the order, then sends the chain; a message is acknowledged before its task
runs (Celery's default).
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from celery import Celery, chain
from celery.exceptions import Ignore
from psycopg_pool import ConnectionPool

from bench.contenders import databases, pools, shop
from bench.contenders.shop import Order
from bench.contenders.simulator import Simulator
from shared_events import environment

if TYPE_CHECKING:
    from flask import Flask

NAME = "naive-celery"

app = Celery("naive_celery")
app.conf.update(
    broker_url=environment.text("ORDERFLOW_BROKER_URL"),
    result_backend=environment.text("ORDERFLOW_REDIS_URL"),
    result_expires=600,
    task_routes={f"{service}.*": {"queue": f"bench.celery.{service}"} for service in databases.SERVICES},
    worker_prefetch_multiplier=4,
)


@cache
def _pool(service: str) -> "ConnectionPool[Any]":
    url = databases.beside(environment.text("ORDERFLOW_DATABASE_URL"), databases.names(NAME)[service])
    return pools.connections(url, most=8)


@cache
def _provider() -> Simulator:
    return Simulator(environment.text("ORDERFLOW_PROVIDER_URL"))


def _run(service: str, statement: str, parameters: Any) -> int:
    with _pool(service).connection() as connection:
        return int(connection.execute(statement, parameters).rowcount)


@app.task(name="inventory.reserve")
def reserve(order: Order) -> Order:
    """Set every line aside, or refuse the order."""
    if not _run("inventory", shop.RESERVE, shop.wanted(order)):
        refuse.delay(order)
        raise Ignore  # ends the chain
    return order


@app.task(name="payments.authorize")
def authorize(order: Order) -> Order:
    """Hold the money, or give the goods back and refuse the order."""
    paid = shop.authorized(order, _provider().ask(*shop.authorization(order)))
    if paid is None:
        chain(release.s(order), refuse.s()).delay()
        raise Ignore
    _run("payments", shop.AUTHORIZED, paid)
    return paid


@app.task(name="inventory.commit")
def commit(order: Order) -> Order:
    """Take the goods off the shelf."""
    _run("inventory", shop.COMMIT, order)
    return order


@app.task(name="payments.capture")
def capture(order: Order) -> Order:
    """Take the money."""
    shop.approved(_provider().ask(*shop.capture(order)))
    _run("payments", shop.CAPTURED, order)
    return order


@app.task(name="orders.complete")
def complete(order: Order) -> None:
    """Finish the order."""
    _run("orders", shop.COMPLETE, order)


@app.task(name="inventory.release")
def release(order: Order) -> Order:
    """Give the goods back."""
    _run("inventory", shop.RELEASE, order)
    return order


@app.task(name="orders.refuse")
def refuse(order: Order) -> None:
    """End the order without goods and money."""
    _run("orders", shop.REFUSE, order)


def begin(order: Order) -> None:
    """Send the whole chain."""
    chain(reserve.s(order), authorize.s(), commit.s(), capture.s(), complete.s()).apply_async()


def create_app() -> "Flask":
    """Return the API."""
    from bench.contenders import api  # a worker does without

    return api.create(begin)
