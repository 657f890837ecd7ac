"""The Celery app that Flower looks through: `celery -A shared_events.flower flower`.

Each message of an order makes an event, so how Flower reads them is a part of what an order costs.
"""

import gc
from collections.abc import Callable
from typing import Any

import flower.events
import msgspec
from celery import Celery
from celery.events.state import Task
from kombu.serialization import register
from kombu.utils import json

app = Celery("flower")

register(  # type: ignore[no-untyped-call]
    "json", json.dumps, msgspec.json.decode, content_type="application/json", content_encoding="utf-8"
)
# What Flower remembers lives long: to look through all of it for garbage was much of its work.
gc.freeze()
gc.set_threshold(50_000, 50, 100)

_ENDINGS = {"task-succeeded", "task-failed", "task-retried"}


class _Task(Task):  # type: ignore[misc]
    """A task that is gone when Flower forgets it.

    Celery's own refers to itself, and so would wait for the garbage collector, which looks seldom.
    """

    @property
    def _serializer_handlers(self) -> dict[str, Callable[[Any], Any]]:
        return {
            "children": self._serializable_children,
            "root": self._serializable_root,
            "parent": self._serializable_parent,
        }

    @_serializer_handlers.setter
    def _serializer_handlers(self, _: Any) -> None:
        """Keep none."""


class _OneEventEach(flower.events.EventsState):  # type: ignore[misc]
    """Counts a message as received too when its end is told: a quick one is told of once, with all its times."""

    Task = _Task

    def event(self, event: dict[str, Any]) -> None:
        super().event(event)
        if event["type"] in _ENDINGS:
            self.counter[event["hostname"]]["task-received"] += 1
            self.metrics.events.labels(event["hostname"], "task-received", event.get("name", "")).inc()


flower.events.EventsState = _OneEventEach
