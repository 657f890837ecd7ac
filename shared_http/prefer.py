"""`Prefer: wait=N` (RFC 7240): the answer may wait for an outcome, if threads are left to wait with."""

import re
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from flask import request

T = TypeVar("T")

LONGEST_WAIT_S = 10
_WAIT = re.compile(r'\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?', re.IGNORECASE)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.2


class Waiters:
    """At most half of the request threads may wait, so that waiting never stops the others."""

    def __init__(self, request_threads: int) -> None:
        self._slots = threading.Semaphore(request_threads // 2)

    def wait_until(self, outcome: Callable[[], T | None], seconds: float) -> T | None:
        """Ask until there is an outcome or the time is over. None: not in time, or no slot was free."""
        if not self._slots.acquire(blocking=False):
            return None
        try:
            return _poll(outcome, time.monotonic() + seconds)
        finally:
            self._slots.release()


def _poll(outcome: Callable[[], T | None], until: float) -> T | None:
    pause = _FIRST_PAUSE_S
    while True:
        found = outcome()
        left = until - time.monotonic()
        if found is not None or left <= 0:
            return found
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)


def wait_asked() -> int | None:
    """Return the seconds that the client is ready to wait, at most 10, or None if it did not ask."""
    for preference in request.headers.get("Prefer", "").split(","):
        found = _WAIT.fullmatch(preference)
        if found:
            return min(int(found[1]), LONGEST_WAIT_S) or None
    return None


def applied(seconds: int) -> dict[str, str]:
    """Return the header that says the wait was honoured."""
    return {"Preference-Applied": f"wait={seconds}"}
