"""Poison: messages from outside that nobody can handle. Each bears a mark, by which its dead letter is known."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import amqp
import msgspec

from orderflow_cli.chaos.outsider import LOST
from orderflow_cli.chaos.scene import Scene
from orderflow_cli.chaos.schedule import Fault
from orderflow_cli.errors import CommandError
from shared_events.contract import Envelope, seal
from shared_events.contracts.inventory import ReleaseStock
from shared_events.outbox import MESSAGES, celery_body

MARK = "poison"
"""The header that a dead letter of ours has kept."""
_ROUTE = "inventory.release_stock"
_WITHIN_S = 60.0


@dataclass(frozen=True)
class Dose:
    """One kind of poison: its body, whose user sends it, what other headers it has, and the cause it dies of."""

    body: Callable[[Envelope], bytes]
    cause: str
    user: str = "orders"
    headers: dict[str, Any] | None = None


def _changed(**values: Any) -> Callable[[Envelope], bytes]:
    return lambda envelope: celery_body(msgspec.structs.replace(envelope, **values))


DOSES = {
    "undecodable body": Dose(lambda _: b"\xff\xfe not a message", "unreadable"),
    "wrong shape": Dose(_changed(data=msgspec.Raw(b'{"order_id": 4711}')), "unreadable"),
    "unknown type": Dose(_changed(type="orders.never_heard_of"), "unknown-contract"),
    "version of the future": Dose(_changed(version=999), "unknown-contract"),
    "wrong user": Dose(celery_body, "forged", user="customers"),
    "huge headers": Dose(lambda _: b"{}", "unreadable", headers={"much": "x" * 60_000}),
}


@contextmanager
def poison(scene: Scene, _fault: Fault) -> Iterator[None]:
    """Publish one message of each kind, and remember its mark once RabbitMQ has it."""
    for name, dose in DOSES.items():
        mark = str(uuid4())
        _publish(scene, message(mark, dose))
        scene.poison_taken[mark] = name
    yield


def message(mark: str, dose: Dose) -> amqp.Message:
    """Return one dose, as its sender would publish it."""
    envelope = seal(ReleaseStock(order_id=uuid4()), correlation_id=uuid4())
    return amqp.Message(
        dose.body(envelope),
        application_headers={MARK: mark, "task": _ROUTE, "id": str(envelope.id), **(dose.headers or {})},
        content_type="application/json",
        content_encoding="utf-8",
        delivery_mode=2,
        user_id=dose.user,
    )


def _publish(scene: Scene, letter: amqp.Message) -> None:
    """Publish until it is confirmed: one that was not may be there all the same, with the same mark."""
    until = time.monotonic() + _WITHIN_S
    while True:
        try:
            connection = scene.outsider.connect()
            try:
                channel = connection.channel()
                channel.confirm_select()
                channel.basic_publish_confirm(letter, exchange=MESSAGES, routing_key=_ROUTE, timeout=10)
            finally:
                connection.collect()
        except LOST as error:
            if time.monotonic() > until:
                raise CommandError(f"poison could not be published: {error}") from error
            time.sleep(1.0)
        else:
            return
