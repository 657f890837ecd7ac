"""A contender's queues: classic and durable, as Celery and FastStream make them unless told otherwise."""

from collections.abc import Callable, Iterable
from typing import Any

from amqp import NotFound
from kombu.connection import Connection
from kombu.pools import producers


def make_anew(url: str, names: Iterable[str]) -> None:
    """Make these queues, empty."""
    with Connection(url) as connection, connection.channel() as channel:
        for name in names:
            channel.queue_delete(name)
            channel.queue_declare(name, durable=True, auto_delete=False)


def all_consumed(url: str, names: Iterable[str]) -> bool:
    """Return whether each of these queues has a consumer."""
    with Connection(url) as connection, connection.channel() as channel:
        try:
            return all(channel.queue_declare(name, passive=True).consumer_count for name in names)
        except NotFound:
            return False


def sender(url: str, queue: str) -> Callable[[Any], None]:
    """Return what sends JSON to a queue; threads may share it. Connections are kept."""
    connection = Connection(url)

    def send(body: Any) -> None:
        with producers[connection].acquire(block=True) as producer:
            producer.publish(body, routing_key=queue, serializer="json", delivery_mode="persistent")

    return send
