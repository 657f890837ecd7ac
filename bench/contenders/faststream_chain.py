"""FastStream on RabbitMQ: a queue for each step, a process for each service (`python -m … inventory`), all of it async.

No outbox and no inbox: the API commits the order, then publishes; a step commits, then publishes, and then FastStream
acknowledges.
"""

import sys
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
import uvloop
from faststream import FastStream
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue, RabbitRouter
from psycopg_pool import AsyncConnectionPool

from bench.contenders import databases, queues, shop
from bench.contenders.pools import OPTIONS
from bench.contenders.shop import Order
from shared_events import environment

if TYPE_CHECKING:
    from flask import Flask

NAME = "faststream"
AT_ONCE = 16
"""How many messages of a queue a process takes at once."""
CONNECTIONS = 8

INVENTORY, PAYMENTS, ORDERS = (RabbitRouter() for _ in databases.SERVICES)
ROUTERS = {"orders": ORDERS, "inventory": INVENTORY, "payments": PAYMENTS}


def _name(step: str) -> str:
    return f"bench.faststream.{step}"


def _queue(step: str) -> RabbitQueue:
    return RabbitQueue(_name(step), durable=True)


class _Process:
    """What the steps of a process share."""

    pool: "AsyncConnectionPool[Any]"
    provider: aiohttp.ClientSession
    broker: RabbitBroker

    async def run(self, statement: str, parameters: Any) -> int:
        """Run a statement of one transaction; return how many rows it changed."""
        async with self.pool.connection() as connection:
            return int((await connection.execute(statement, parameters)).rowcount)

    async def ask(self, path: str, key: str, body: shop.Row) -> shop.Row:
        """POST to the provider and return its answer."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        async with self.provider.post(path, data=msgspec.json.encode(body), headers=headers) as response:
            response.raise_for_status()
            answer: shop.Row = msgspec.json.decode(await response.read())
            return answer

    async def send(self, step: str, order: Order) -> None:
        """Send an order to a step."""
        message: Any = order  # a TypedDict, which FastStream sends but whose type it does not name
        await self.broker.publish(message, _name(step), persist=True)


its = _Process()


@INVENTORY.subscriber(_queue("reserve"))
async def reserve(order: Order) -> None:
    """Set every line aside, or refuse the order."""
    taken = await its.run(shop.RESERVE, shop.wanted(order))
    await its.send("authorize" if taken else "refuse", order)


@PAYMENTS.subscriber(_queue("authorize"))
async def authorize(order: Order) -> None:
    """Hold the money, or give the goods back and refuse the order."""
    paid = shop.authorized(order, await its.ask(*shop.authorization(order)))
    if paid is None:
        await its.send("release", order)
        return
    await its.run(shop.AUTHORIZED, paid)
    await its.send("commit", paid)


@INVENTORY.subscriber(_queue("commit"))
async def commit(order: Order) -> None:
    """Take the goods off the shelf."""
    await its.run(shop.COMMIT, order)
    await its.send("capture", order)


@PAYMENTS.subscriber(_queue("capture"))
async def capture(order: Order) -> None:
    """Take the money."""
    shop.approved(await its.ask(*shop.capture(order)))
    await its.run(shop.CAPTURED, order)
    await its.send("complete", order)


@ORDERS.subscriber(_queue("complete"))
async def complete(order: Order) -> None:
    """Finish the order."""
    await its.run(shop.COMPLETE, order)


@INVENTORY.subscriber(_queue("release"))
async def release(order: Order) -> None:
    """Give the goods back."""
    await its.run(shop.RELEASE, order)
    await its.send("refuse", order)


@ORDERS.subscriber(_queue("refuse"))
async def refuse(order: Order) -> None:
    """End the order without goods and money."""
    await its.run(shop.REFUSE, order)


async def main(service: str) -> None:
    """Run the steps of a service until SIGTERM."""
    channel = Channel(prefetch_count=AT_ONCE, publisher_confirms=False)
    its.broker = RabbitBroker(environment.text("ORDERFLOW_BROKER_URL"), default_channel=channel, logger=None)
    its.broker.include_router(ROUTERS[service])
    url = databases.beside(environment.text("ORDERFLOW_DATABASE_URL"), databases.names(NAME)[service])
    async with (
        AsyncConnectionPool(url, kwargs=OPTIONS, min_size=1, max_size=CONNECTIONS) as its.pool,
        aiohttp.ClientSession(environment.text("ORDERFLOW_PROVIDER_URL")) as its.provider,
    ):
        await FastStream(its.broker, logger=None).run()


def create_app() -> "Flask":
    """Return the API. It publishes with kombu: FastStream's broker is async only, and the API is not."""
    from bench.contenders import api  # a worker does without

    return api.create(queues.sender(environment.text("ORDERFLOW_BROKER_URL"), _name("reserve")))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
