"""The circuit breaker around the provider: after a row of failures nobody calls it for a while.

All executors share one breaker in Redis. While Redis cannot be reached each process goes by its own: a
breaker is there to spare the provider, and a lost Redis must never be why a call is not made.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import pybreaker
import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

T = TypeVar("T")

_WITHOUT_REDIS_S = 5.0
"""How long Redis is left alone after it failed."""

# pybreaker logs a traceback per command while Redis is away; readiness already says "degraded".
logging.getLogger("pybreaker").setLevel(logging.CRITICAL)


_SEEN_FOR_S = 0.2
"""How long a process goes by what it last saw of the breaker: a question to Redis for each call costs more."""


class Open(Exception):
    """The breaker is open: the call was not made."""


class Breaker:
    """Counts failures in a row, opens after `fail_max`, and lets a call try again `reset_s` later.

    A success resets the count; while calls succeed only one in `_SEEN_FOR_S` is told to the others.
    """

    def __init__(self, redis_url: str | None, *, fail_max: int = 8, reset_s: float = 5.0) -> None:
        self._reset_s = reset_s
        self._fail_max = fail_max
        self._redis = _wary(redis_url) if redis_url else None
        self._local = self._around(pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED))
        self._shared: pybreaker.CircuitBreaker | None = None
        self._seen_at = float("-inf")
        self._seen = pybreaker.STATE_CLOSED
        self._told_at = float("-inf")

    @property
    def state(self) -> str:
        """`closed`, `open`, or `half-open`: open for long enough, so that the next call may try."""
        return self._look()[0]

    @property
    def open_for_s(self) -> float:
        """How many seconds it will stay open; 0 if a call may be made."""
        return 0.0 if self.looks_closed else self._look()[1]

    @property
    def looks_closed(self) -> bool:
        """Whether it was closed a moment ago."""
        if time.monotonic() - self._seen_at > _SEEN_FOR_S:
            self._seen, self._seen_at = self.state, time.monotonic()
        return self._seen == pybreaker.STATE_CLOSED

    def _look(self) -> tuple[str, float]:
        """Return its state, and for how many seconds it stays open."""
        breaker = self._current()
        state = str(breaker.current_state)
        if state != pybreaker.STATE_OPEN:
            return state, 0.0
        opened_at = breaker._state_storage.opened_at  # pybreaker has no public way to ask
        open_for_s = self._reset_s - (datetime.now(UTC) - opened_at).total_seconds() if opened_at else 0.0
        if (
            open_for_s > self._reset_s
        ):  # opened in the future: our clock is wrong, or that of who opened it is
            breaker.half_open()
            return pybreaker.STATE_HALF_OPEN, 0.0
        return (state, open_for_s) if open_for_s > 0 else (pybreaker.STATE_HALF_OPEN, 0.0)

    def require_closed(self) -> None:
        """Raise Open unless it is closed (readiness asks)."""
        if self.state != pybreaker.STATE_CLOSED:
            raise Open(f"the circuit breaker is {self.state}")

    def call(self, function: Callable[[], T]) -> T:
        """Call the provider and count how it went. Raises Open, or what `function` raises.

        pybreaker holds a lock while it calls, so it is told of the outcome afterwards: calls run side by side.
        """
        if self.open_for_s:
            raise Open("the circuit breaker is open")
        try:
            result = function()
        except Exception as error:
            self._tell(error)
            raise
        self._tell_success()
        return result

    def _tell(self, error: Exception) -> None:
        def fail() -> None:
            raise error

        self._seen_at = self._told_at = float("-inf")  # so the next success is told
        with suppress(pybreaker.CircuitBreakerError, type(error)):
            self._current().call(fail)

    def _tell_success(self) -> None:
        if self.looks_closed and time.monotonic() - self._told_at < _SEEN_FOR_S:
            return
        self._told_at, self._seen_at = time.monotonic(), float("-inf")
        with suppress(pybreaker.CircuitBreakerError):
            self._current().call(lambda: None)

    def _current(self) -> pybreaker.CircuitBreaker:
        """Return the shared breaker if Redis answers, else the local one."""
        if self._redis is None or self._redis.is_left_alone:
            return self._local
        with suppress(RedisError):
            if self._shared is None:
                self._shared = self._around(
                    pybreaker.CircuitRedisStorage(
                        pybreaker.STATE_CLOSED, self._redis, namespace="payments:provider"
                    )
                )
            return self._shared
        return self._local

    def _around(self, storage: pybreaker.CircuitBreakerStorage) -> pybreaker.CircuitBreaker:
        return pybreaker.CircuitBreaker(
            fail_max=self._fail_max,
            reset_timeout=self._reset_s,
            state_storage=storage,
            throw_new_error_on_trip=False,  # the caller learns how its own call went
        )


class _WaryRedis(redis.Redis):
    """A client that does not ask a server that just failed, so that a hanging Redis costs little."""

    _failed_at = float("-inf")

    @property
    def is_left_alone(self) -> bool:
        """Whether it failed a moment ago."""
        return time.monotonic() - self._failed_at < _WITHOUT_REDIS_S

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run a command, or fail at once."""
        if self.is_left_alone:
            raise redis.ConnectionError("Redis failed a moment ago")
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except RedisError:
            self._failed_at = time.monotonic()
            raise


def _wary(url: str) -> _WaryRedis:
    bounds: dict[str, Any] = {"socket_timeout": 0.3, "socket_connect_timeout": 0.3}
    return cast("_WaryRedis", _WaryRedis.from_url(url, retry=Retry(NoBackoff(), 0), **bounds))
