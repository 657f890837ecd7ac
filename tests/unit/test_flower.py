"""Flower counts what is told of once, and what it forgets is gone."""

import gc
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import flower.app
import pytest
from celery import Celery
from flower import events

import shared_events.flower  # noqa: F401  it changes Flower's state


@pytest.fixture
def collected_by_nobody() -> Iterator[None]:
    """The garbage collector rests, as it nearly does in Flower."""
    gc.disable()
    yield
    gc.enable()


def _ended(number: int, kind: str = "task-succeeded") -> dict[str, Any]:
    now = time.time()
    return {
        "type": kind,
        "hostname": "orders-worker@here",
        "uuid": f"{number}@orders",
        "name": "inventory.stock_reserved",
        "timestamp": now,
        "local_received": now,
        "received": now,
        "started": now,
        "clock": number,
        "runtime": 0.1,
    }


@pytest.mark.parametrize("kind", ["task-succeeded", "task-failed", "task-retried"])
def test_a_message_whose_end_alone_is_told_counts_as_received(kind: str) -> None:
    state = events.EventsState()

    state.event(_ended(1, kind))

    assert state.counter["orders-worker@here"] == {kind: 1, "task-received": 1}
    assert state.tasks["1@orders"].received is not None


def test_of_what_takes_long_the_beginning_is_not_counted_besides() -> None:
    state = events.EventsState()

    state.event({**_ended(1, "task-started"), "received": None})
    state.event(_ended(1))

    assert state.counter["orders-worker@here"]["task-received"] == 1


def test_search_finds_what_changed_and_not_what_is_forgotten() -> None:
    state = events.EventsState(max_tasks_in_memory=2)
    for number in range(3):
        state.event(_ended(number, "task-started"))

    def found(query: str) -> set[str]:
        return set(state.search_engine.search(state.tasks, query).task_ids)

    assert found("name:inventory.stock_reserved") == {"1@orders", "2@orders"}
    state.event(_ended(2))
    assert (found("state:STARTED"), found("state:SUCCESS")) == ({"1@orders"}, {"2@orders"})
    state.event(_ended(3))
    state.clear_tasks()
    assert (found("name:inventory.stock_reserved"), state.search_engine.documents) == (set(), {})


def test_a_forgotten_task_is_gone_at_once(collected_by_nobody: None) -> None:
    state = events.EventsState(max_tasks_in_memory=10)
    state.event(_ended(0))
    forgotten = weakref.ref(state.tasks["0@orders"])

    for number in range(1, 100):
        state.event(_ended(number))

    assert forgotten() is None
    assert state.tasks["99@orders"].as_dict()["name"] == "inventory.stock_reserved"


class Loop:
    """An event loop that runs its callbacks when told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def add_callback(self, callback: Callable[[], None]) -> None:
        self.waiting.append(callback)

    def run(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


@pytest.fixture
def its_events() -> Any:
    app = Celery("flower")
    return flower.app.Events(app, Loop(), max_tasks_in_memory=100)


def test_what_comes_together_wakes_flower_once_and_all_of_it_counts(its_events: Any) -> None:
    for number in range(3):
        its_events.on_event(_ended(number))

    assert len(its_events.io_loop.waiting) == 1
    its_events.io_loop.run()
    its_events.on_event(_ended(3))
    its_events.io_loop.run()

    assert its_events.state.counter["orders-worker@here"]["task-succeeded"] == 4


def test_what_comes_while_events_are_handed_over_is_not_forgotten(its_events: Any) -> None:
    take = its_events.state.event

    def take_while_more_comes(event: dict[str, Any]) -> None:
        if event["clock"] < 5:
            its_events.on_event(_ended(event["clock"] + 1))
        take(event)

    its_events.state.event = take_while_more_comes
    its_events.on_event(_ended(0))
    its_events.io_loop.run()

    assert its_events.state.counter["orders-worker@here"]["task-succeeded"] == 6


def test_an_event_that_flower_cannot_take_costs_none_of_the_others(its_events: Any) -> None:
    for event in ({"type": "task-succeeded", "hostname": "without a clock"}, _ended(1)):
        its_events.on_event(event)

    its_events.io_loop.run()

    assert its_events.state.counter["orders-worker@here"]["task-succeeded"] == 1
