"""`Prefer: wait=N` waits as long as asked, at most 10 s, and never with more than half of the threads."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from shared_http.prefer import Waiters, applied, wait_asked


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=5", 5),
        ("respond-async, wait=5", 5),
        ("Wait = 3", 3),
        ('wait="4"', 4),
        ("wait=99", 10),
        ("wait=0", None),
        ("wait=-1", None),
        ("wait=x", None),
        ("await=5", None),
        ("", None),
    ],
)
def test_the_wait_is_read_from_the_header(header: str, seconds: int | None) -> None:
    with Flask("x").test_request_context(headers={"Prefer": header}):
        assert wait_asked() == seconds


def test_an_outcome_ends_the_wait() -> None:
    answers = iter([None, None, "done"])

    assert Waiters(8).wait_until(lambda: next(answers), 5) == "done"
    assert applied(5) == {"Preference-Applied": "wait=5"}


def test_no_outcome_ends_it_in_time() -> None:
    started = time.monotonic()

    assert Waiters(8).wait_until(lambda: None, 0.3) is None
    assert 0.25 < time.monotonic() - started < 1


def test_half_of_the_threads_never_wait() -> None:
    waiters, entered, go = Waiters(4), threading.Semaphore(0), threading.Event()

    def outcome() -> str:
        entered.release()
        go.wait(5)
        return "done"

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(waiters.wait_until, outcome, 5) for _ in range(2)]
        assert all(entered.acquire(timeout=5) for _ in range(2))
        assert waiters.wait_until(lambda: "would be done", 5) is None
        go.set()
        assert [each.result() for each in waiting] == ["done", "done"]
