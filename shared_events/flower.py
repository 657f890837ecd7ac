"""The Celery app that Flower looks through: `celery -A shared_events.flower flower`.

Each message of an order makes an event, so how Flower reads them is a part of what an order costs.
"""

import gc
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import flower.app
import flower.events
import msgspec
from celery import Celery
from celery.events.state import Task
from flower.utils.search import TaskSearchEngine
from kombu.serialization import register
from kombu.utils import json

app = Celery("flower")

register(  # type: ignore[no-untyped-call]
    "json", json.dumps, msgspec.json.decode, content_type="application/json", content_encoding="utf-8"
)
# What Flower remembers lives long: to look through all of it for garbage was much of its work.
gc.freeze()
gc.set_threshold(50_000, 50, 100)

log = logging.getLogger(__name__)

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


class _IndexedWhenAsked(TaskSearchEngine):  # type: ignore[misc]
    """Flower's search, which reads a task when somebody searches, and not whenever it changes."""

    def __init__(self) -> None:
        super().__init__()
        self._changed: dict[str, Any] = {}

    def upsert(self, task: Any) -> None:
        self._changed[task.uuid] = task

    def remove(self, task_id: str) -> None:
        self._changed.pop(task_id, None)
        super().remove(task_id)

    def rebuild(self, tasks: Any) -> None:
        self._changed.clear()
        super().rebuild(tasks)

    def search(self, *arguments: Any, **options: Any) -> Any:
        changed, self._changed = self._changed, {}
        for task in changed.values():
            super().upsert(task)
        return super().search(*arguments, **options)


class _OneEventEach(flower.events.EventsState):  # type: ignore[misc]
    """Counts a message as received too when its end is told: a quick one is told of once, with all its times."""

    Task = _Task
    heap_multiplier = 1
    """Events kept for each task. Celery expects four, and each that it drops moves all of them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.search_engine = _IndexedWhenAsked()
        self.search_engine.rebuild(self.tasks.items())

    def event(self, event: dict[str, Any]) -> None:
        super().event(event)
        if event["type"] in _ENDINGS:
            self.counter[event["hostname"]]["task-received"] += 1
            self.metrics.events.labels(event["hostname"], "task-received", event.get("name", "")).inc()


class _Together(flower.events.Events):  # type: ignore[misc]
    """Hands over what came together at once: to wake Flower's loop for each event costs half as much as the event."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._came: deque[dict[str, Any]] = deque()

    def on_event(self, event: dict[str, Any]) -> None:
        """Take an event, in the thread that receives them."""
        self._came.append(event)
        if len(self._came) == 1:
            self.io_loop.add_callback(self._hand_over)

    def _hand_over(self) -> None:
        for _ in range(len(self._came)):
            try:
                self.state.event(self._came.popleft())
            except Exception:
                log.exception("an event that Flower cannot take")
        if self._came:
            self.io_loop.add_callback(self._hand_over)


flower.events.EventsState = _OneEventEach
flower.app.Events = _Together
