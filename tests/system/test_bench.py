"""The bench's turns on a whole stack, with a few orders: what it counts is there, and is right."""

import time
from pathlib import Path

import pytest
from running_stack import RunningStack

from bench.finished import copy_finished
from bench.ours import Ours
from bench.place import KINDS, Place, stock
from bench.quota import NoQuota, quota
from bench.turns import closed, opened
from local_stack import client
from orderflow_cli.check import examine

SKUS = [f"BENCH-{number:04}" for number in range(6)]


@pytest.fixture(scope="module")
def place(stack: RunningStack) -> Place:
    found = Place(stack.data, print, client.access(stack.data), SKUS)
    stock(found)
    return found


def test_a_closed_turn_counts_every_order_and_all_that_worked_on_it(place: Place) -> None:
    run = f"closed-{time.time()}"

    turn = closed(Ours(place), run, 40, hot=True)

    assert (turn.orders, turn.unfinished, len(turn.intake_ms), len(turn.confirmed_ms)) == (40, 0, 40, 40)
    assert turn.finished_s >= turn.sent_s > 0
    assert turn.cpu_s.keys() == set(KINDS)
    assert turn.apart_s.keys() == {"simulator", "generator"}
    busy = {kind for kind, used in turn.cpu_s.items() if used > 0}
    assert busy >= {"api", "workers", "executor", "relays", "postgres", "rabbitmq"}


def test_an_open_turn_keeps_its_pace(place: Place) -> None:
    turn = opened(Ours(place), f"open-{time.time()}", 20, 1)

    assert (turn.orders, turn.unfinished) == (20, 0)
    assert turn.sent_s >= 19 / 20


def test_copies_of_a_finished_order_keep_every_invariant(place: Place) -> None:
    closed(Ours(place), f"past-{time.time()}", 1)

    copy_finished(place, 50)

    with place.deployment.api() as api:
        report = examine(place.deployment, api, settle_s=30)
    assert report.broken == []
    assert len(report.invariants) > 15


def test_a_quota_holds_who_is_in_it_and_lets_them_go(place: Place) -> None:
    pids = place.pids()
    try:
        with quota(0.5, [pids["orders-worker"]]):
            inside = groups_of(pids["orders-worker"])
    except NoQuota:
        return  # this machine lets nobody limit CPU, and the bench says so too

    assert "orderflow-bench" in inside
    assert "orderflow-bench" not in groups_of(pids["orders-worker"])


def groups_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")


def test_all_that_runs_has_a_kind(place: Place) -> None:
    assert set(place.roots().values()) == set(KINDS) | {"simulator"}
