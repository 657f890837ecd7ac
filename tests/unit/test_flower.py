"""Flower counts what is told of once, and what it forgets is gone."""

import gc
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
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
