"""Gathers deliveries in the worker's main process and hands them to its pool in batches.

While a pool process is idle a message goes at once; while all are busy messages gather; and when the last
batch held more than one, the next waits a moment, because a relay's messages come together and one transaction for
many is what makes it fast. To wait for longer is the relays' part.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from celery import bootsteps
from celery.worker import state

from shared_events import bundles, metrics
from shared_events.delivery import Delivery, plain_headers, raw
from shared_events.runtime import Ending, Verdict

log = logging.getLogger(__name__)

HOLD_S = 1.0
SLOW_AFTER_S = 1.0
"""What runs longer is told of as started; Flower learns of all else when it ends."""
TOGETHER_S = 0.005
"""After a batch of many: so long does the next wait for what a relay has published together."""
SUSPECT_AFTER = 3
"""A message that came back more often than this runs alone."""

_EVENTS = {
    Ending.APPLIED: "task-succeeded",
    Ending.RETRIED: "task-retried",
    Ending.BURIED: "task-failed",
    Ending.REFUSED: "task-failed",
}


@dataclass
class _Post:
    """The broker's message: settled with one word when all that it holds has come to its end."""

    message: Any
    came_at: float
    unfinished: int
    lost: bool = False
    refused: bool = False


class _Parked(NamedTuple):
    """A delivery that waits for a pool process."""

    post: _Post
    delivery: Delivery
    alone: bool = False

    @property
    def is_suspect(self) -> bool:
        """Whether it may be killing its process: it came back too often."""
        return self.delivery.returns > SUSPECT_AFTER

    @property
    def goes_alone(self) -> bool:
        """Whether it gets a job of its own."""
        return self.alone or self.is_suspect


class Batches:
    """The deliveries of one broker connection, from their arrival to their acknowledgement."""

    def __init__(
        self, consumer: Any, run: Callable[..., Any], size: int, limits_s: tuple[float, float]
    ) -> None:
        self._consumer = consumer
        self._connection = consumer.connection
        self._run = run
        self._size = size
        self._soft_limit_s, self._hard_limit_s = limits_s
        self._waiting: deque[_Parked] = deque()
        self._jobs = 0
        self._pause_s = 0.0
        self._held_until = 0.0
        self._flush_is_due = False
        self._unacknowledged: dict[int, None] = {}  # delivery tags, in the order of their delivery

    def take(self, message: Any) -> None:
        """Accept a delivery from the broker, whatever it is."""
        deliveries = bundles.split(_delivery(message))
        self._unacknowledged[message.delivery_tag] = None
        post = _Post(message, time.time(), len(deliveries))
        self._waiting.extend(_Parked(post, delivery) for delivery in deliveries)
        self._schedule(self._pause_s if len(self._waiting) < self._size else 0)

    def _schedule(self, delay_s: float) -> None:
        if self._flush_is_due:
            return
        self._flush_is_due = True
        self._consumer.timer.call_after(delay_s, self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        held_s = self._held_until - time.monotonic()
        if held_s > 0:
            self._schedule(held_s)
            return
        while self._waiting and self._jobs < self._consumer.pool.num_processes and self._is_open():
            some = self._next_batch()
            self._pause_s = TOGETHER_S if len(some) > 1 else 0.0
            self._dispatch(some)

    def _next_batch(self) -> "list[_Parked]":
        """Take what goes together: one that goes alone, else as many as there are up to the next such."""
        some = [self._waiting.popleft()]
        while self._waiting and len(some) < self._size and not some[0].goes_alone:
            if self._waiting[0].goes_alone:
                break
            some.append(self._waiting.popleft())
        return some

    def _is_open(self) -> bool:
        """Whether the broker still waits for acknowledgements on the connection these came by."""
        return (
            self._consumer.connection is self._connection and self._consumer.blueprint.state == bootsteps.RUN
        )

    def _dispatch(self, some: "list[_Parked]") -> None:
        self._jobs += 1
        began = time.time()
        slow = self._consumer.timer.call_after(SLOW_AFTER_S, self._tell_started, (some, began))

        def on_verdicts(verdicts: Sequence[Verdict]) -> None:
            self._jobs -= 1
            slow.cancel()
            try:
                self._conclude(some, verdicts, began)
            finally:
                self._next()

        def on_lost(reason: Any) -> None:
            self._jobs -= 1
            slow.cancel()
            log.error("%d messages lost their process and go back: %s", len(some), reason)
            metrics.LOST_BATCHES.inc()
            for each in some:
                each.post.lost = True
            self._finish(some)
            self._next()

        try:
            self._consumer.pool.apply_async(
                self._run,
                ([each.delivery for each in some], some[0].is_suspect),
                callback=on_verdicts,
                error_callback=on_lost,
                soft_timeout=self._soft_limit_s,
                timeout=self._hard_limit_s,
            )
        except Exception as error:  # whatever ails the pool, nothing may stay in limbo
            on_lost(error)

    def _next(self) -> None:
        if self._waiting:
            self._schedule(0 if len(self._waiting) >= self._size else self._pause_s)

    def _conclude(self, some: "list[_Parked]", verdicts: Sequence[Verdict], began: float) -> None:
        ended: list[_Parked] = []
        seconds_each = (time.time() - began) / len(some)
        for parked, verdict in reversed(list(zip(some, verdicts, strict=True))):
            if verdict.ending is Ending.HELD:
                self._held_until = time.monotonic() + HOLD_S
                self._waiting.appendleft(parked)
                continue
            if verdict.ending is Ending.ALONE:
                self._waiting.appendleft(parked._replace(alone=True))
                continue
            metrics.observe(verdict.observations)
            metrics.MESSAGES.labels(parked.delivery.label, verdict.ending.value).inc()
            self._tell_ending(parked, verdict, began, seconds_each)
            parked.post.refused |= verdict.ending is Ending.REFUSED
            ended.append(parked)
        self._finish(ended)

    def _finish(self, some: "list[_Parked]") -> None:
        """Settle each of the broker's messages of which nothing is left to be done."""
        posts: list[_Post] = []
        for parked in some:
            parked.post.unfinished -= 1
            if not parked.post.unfinished:
                posts.append(parked.post)
        if self._consumer.connection is not self._connection:
            return  # the broker delivers them again, and the inbox knows them
        self._acknowledge([post.message for post in posts if not post.lost and not post.refused])
        for post in posts:
            if post.lost or post.refused:
                del self._unacknowledged[post.message.delivery_tag]
                errors = self._consumer.connection_errors
                post.message.reject_log_error(log, errors, requeue=post.lost)

    def _acknowledge(self, messages: Sequence[Any]) -> None:
        """Acknowledge these; all with one word to the broker if nothing older is still unacknowledged."""
        if not messages:
            return
        errors = self._consumer.connection_errors
        tags = sorted(message.delivery_tag for message in messages)
        if list(islice(self._unacknowledged, len(tags))) == tags:
            max(messages, key=lambda message: int(message.delivery_tag)).ack_log_error(
                log, errors, multiple=True
            )
        else:
            for message in messages:
                message.ack_log_error(log, errors)
        for tag in tags:
            del self._unacknowledged[tag]

    def _tell_started(self, some: "list[_Parked]", began: float) -> None:
        """Tell of what takes long; the rest is told once, when it ends, with all its times."""
        for parked in some:
            self._tell("task-started", parked, started=began, received=None)

    def _tell_ending(self, parked: _Parked, verdict: Verdict, began: float, seconds: float) -> None:
        state.total_count[parked.delivery.label] += 1
        state.all_total_count[0] += 1
        if verdict.ending is Ending.APPLIED:
            self._tell("task-succeeded", parked, started=began, result="", runtime=seconds)
        else:
            error, trace = verdict.error, verdict.traceback
            self._tell(_EVENTS[verdict.ending], parked, started=began, exception=error, traceback=trace)

    def _tell(self, event: str, parked: _Parked, **fields: Any) -> None:
        """Tell Flower: each message is a task of its own there, one per message and service."""
        dispatcher = self._consumer.event_dispatcher
        if dispatcher and dispatcher.enabled:
            delivery = parked.delivery
            dispatcher.send(
                event,
                uuid=f"{delivery.id}@{self._consumer.app.main}",
                name=delivery.name,
                args=str(delivery.headers.get("argsrepr", "")),
                root_id=delivery.headers.get("root_id"),
                retries=delivery.failures,
                **{"received": parked.post.came_at, **fields},
            )


def _delivery(message: Any) -> Delivery:
    info, properties = message.delivery_info or {}, message.properties or {}
    return Delivery(
        body=raw(message.body),
        headers=plain_headers(message.headers),
        content_type=message.content_type or "",
        content_encoding=message.content_encoding or "utf-8",
        user_id=properties.get("user_id") or "",
        exchange=info.get("exchange") or "",
        routing_key=info.get("routing_key") or "",
    )
