"""Liveness and readiness. Free of Flask: workers and relays use it too.

A process is not ready only when its own database is away or not migrated, or when it was told that it will be
ended; whatever else is missing is listed as degraded, because the process goes on without it.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import Engine, text

TIMEOUT_S = 1.0
_FRESH_FOR_S = 1.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that readiness looks at. `probe` raises if the thing is not well."""

    name: str
    probe: Callable[[], object]
    required: bool = False


class NotMigrated(Exception):
    """The database lacks migrations that this release needs."""


class Readiness:
    """Runs checks side by side, each for at most a second; an answer is kept for a second.

    While a file is at `leaving_mark` the process says that it is leaving, at once, and serves as before: who
    routes requests stops sending them here, and then it can be ended without anyone noticing.
    """

    def __init__(self, checks: Iterable[Check], leaving_mark: Path | None = None) -> None:
        self._running = [_Running(check) for check in checks]
        self._leaving_mark = leaving_mark

    def report(self) -> tuple[int, dict[str, object]]:
        """Return the HTTP status and body of `/health/ready`."""
        if self._leaving_mark is not None and self._leaving_mark.exists():
            return 503, {"status": "leaving"}
        until = time.monotonic() + TIMEOUT_S
        for each in self._running:
            each.start()
        wrong = {each.check: reason for each in self._running if (reason := each.reason(until))}
        down = any(check.required for check in wrong)
        state = "unavailable" if down else "degraded" if wrong else "ready"
        body: dict[str, object] = {"status": state}
        if wrong:
            body["degraded"] = {check.name: reason for check, reason in wrong.items()}
        return (503 if down else 200), body


class _Running:
    """A check and its latest run; a run that hangs is left alone and no second one is started beside it."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self._lock = threading.Lock()
        self._started_at = float("-inf")
        self._run: Future[object] | None = None

    def start(self) -> None:
        """Begin a run, unless one is under way or fresh."""
        with self._lock:
            if self._run is not None and not self._run.done():
                return
            if time.monotonic() - self._started_at < _FRESH_FOR_S:
                return
            self._started_at = time.monotonic()
            run: Future[object] = Future()
            self._run = run
        threading.Thread(target=self._work, args=(run,), daemon=True).start()

    def _work(self, run: Future[object]) -> None:
        try:
            run.set_result(self.check.probe())
        except Exception as error:  # whatever it is, it is what there is to report
            run.set_exception(error)

    def reason(self, until: float) -> str | None:
        """Return why the thing is not well, or None."""
        run = self._run
        if run is None:
            return "not checked"
        try:
            error = run.exception(timeout=max(0.0, until - time.monotonic()))
        except TimeoutError:
            return f"no answer within {TIMEOUT_S:g} s"
        return None if error is None else f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"


def database_check(engine: Engine, head: str | None = None) -> Check:
    """Check the service's own database; with `head`, also that it is migrated at least so far.

    Migration ids sort. A database that is ahead is fine: each migration works with the release before it.
    """

    def probe() -> None:
        with engine.connect() as connection:
            if head is None:
                connection.execute(text("SELECT 1"))
                return
            found = connection.execute(text("SELECT max(version_num) FROM alembic_version")).scalar()
            if found is None or found < head:
                raise NotMigrated(f"at {found}, needs {head}")

    return Check("database", probe, required=True)


def redis_check(url: str) -> Check:
    """Check that Redis answers."""
    client = redis.Redis.from_url(
        url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
    )
    return Check("redis", client.ping)


def broker_check(url: str) -> Check:
    """Check that the broker greets: the protocol header is sent and the first frame awaited, no login."""
    parts = urlsplit(url)
    address = (parts.hostname or "localhost", parts.port or 5672)

    def probe() -> None:
        with socket.create_connection(address, timeout=TIMEOUT_S) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            if connection.recv(1) != b"\x01":
                raise ConnectionError("not an AMQP broker")

    return Check("rabbitmq", probe)
