"""Faults of messages: doubled and overtaken."""

import random
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import amqp

from orderflow_cli.chaos.outsider import Session
from orderflow_cli.chaos.scene import Scene
from orderflow_cli.chaos.schedule import Fault
from orderflow_cli.names import SERVICES
from shared_events import contracts as _contracts  # noqa: F401  registers every contract
from shared_events.contract import CONTRACTS, Timer
from shared_events.outbox import MESSAGES
from shared_events.topology import PAYMENT_CALLS

_COPY = "x-chaos-copy"
_LEAVE_ALONE = (_COPY, "x-death")
"""Our own copies, and what comes out of a back-off tier."""
_WORK = (*SERVICES, PAYMENT_CALLS.name)
_HELD_AT_ONCE = 25
_HELD_S = (0.2, 2.0)
_LONGER_S = 0.5
"""A message that we got again is held longer each time: where we are the only one with room for it, it would
otherwise come and go until it has used up its deliveries."""


@contextmanager
def duplicate_all(scene: Scene, _fault: Fault) -> Iterator[None]:
    """Publish every message again, as its sender did: same id, same user, same way.

    Commands, replies and facts are seen on `messages`, timers on `<service>.x`. What travels there besides,
    retries and dead letters, is nobody's second message.
    """
    seen: deque[Any] = deque()

    def copy(message: Any) -> None:
        properties = dict(message.properties)
        headers = properties.get("application_headers") or {}
        if any(name in headers for name in _LEAVE_ALONE):
            return
        properties["application_headers"] = {**headers, _COPY: True}
        info = message.delivery_info
        again = amqp.Message(message.body, **properties)
        message.channel.basic_publish(again, exchange=info["exchange"], routing_key=info["routing_key"])
        scene.count(copies=1)

    def copy_all(_channel: Any) -> None:
        while seen:  # not in the callback: py-amqp reads on while it publishes, and would call it again
            copy(seen.popleft())

    def listen(channel: Any) -> None:
        seen.clear()
        queue, _, _ = channel.queue_declare("", exclusive=True, durable=False)
        channel.queue_bind(queue, MESSAGES, "#")
        for its in CONTRACTS.values():
            if its.kind is Timer:
                channel.queue_bind(queue, f"{its.sent_by}.x", its.type)
        channel.basic_consume(queue, no_ack=True, callback=seen.append)

    with Session(scene.outsider, listen, copy_all):
        yield


@contextmanager
def reorder(scene: Scene, fault: Fault) -> Iterator[None]:
    """Take messages from the work queues, hold each for a moment, and give it back: others overtake it."""
    draw = random.Random(fault.number)  # noqa: S311  no secret
    held: list[tuple[float, int]] = []

    def hold(message: Any) -> None:
        headers = message.properties.get("application_headers") or {}
        returns = headers.get("x-delivery-count") or 0
        wait_s = draw.uniform(*_HELD_S) + _LONGER_S * returns
        held.append((time.monotonic() + wait_s, message.delivery_tag))

    def listen(channel: Any) -> None:
        held.clear()
        channel.basic_qos(0, _HELD_AT_ONCE, False)
        for queue in _WORK:
            channel.basic_consume(queue, callback=hold)

    def give_back(channel: Any) -> None:
        now = time.monotonic()
        due = [tag for moment, tag in held if moment <= now]
        held[:] = [each for each in held if each[0] > now]
        draw.shuffle(due)
        for tag in due:
            channel.basic_reject(tag, requeue=True)
        scene.count(overtaken=len(due))

    with Session(scene.outsider, listen, give_back):
        yield
