"""A stranger at RabbitMQ: a user of its own that may speak in anybody's name, for the time of a run."""

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

import amqp
import httpx2

from local_stack.access import Access
from orderflow_cli.errors import CommandError
from orderflow_cli.provision import VHOST
from shared_events.publisher import NotPublished, connect

_PAUSE_S = 1.0
_TURN_S = 0.05
LOST = (OSError, amqp.AMQPError, NotPublished, httpx2.HTTPError)
"""What a connection to a broker that is being harmed may raise."""


class Outsider:
    """The user, made when it is needed first. RabbitMQ's tag `impersonator` lets it set any `user_id`."""

    name = "orderflow-chaos"

    def __init__(self, access: Access) -> None:
        self._management = access.rabbitmq_admin_url.rstrip("/")
        self._address = access.amqp_address
        self._password = secrets.token_hex(16)
        self._is_made = False
        self._lock = threading.Lock()

    def connect(self) -> amqp.Connection:
        """Open a connection as this user; raises one of LOST while the broker is away."""
        with self._lock:
            if not self._is_made:
                self._make()
        return connect(f"amqp://{self.name}:{self._password}@{self._address}/{VHOST}")

    def remove(self) -> None:
        """Remove the user, if it was made; harmless again. Raises httpx2.HTTPError while the broker is away."""
        if self._is_made:
            try:
                self._ask("DELETE", f"/api/users/{self.name}")
            except httpx2.HTTPStatusError as error:
                if error.response.status_code != httpx2.codes.NOT_FOUND:
                    raise

    def _make(self) -> None:
        self._ask("PUT", f"/api/users/{self.name}", {"password": self._password, "tags": "impersonator"})
        may = dict.fromkeys(("configure", "write", "read"), ".*")
        self._ask("PUT", f"/api/permissions/{VHOST}/{self.name}", may)
        self._is_made = True

    def _ask(self, method: str, path: str, body: Any = None) -> None:
        url = httpx2.URL(self._management)
        auth = (url.username, url.password)
        bare = url.copy_with(username=None, password=None)
        answer = httpx2.request(method, f"{bare}{path}", json=body, auth=auth, timeout=10, trust_env=False)
        answer.raise_for_status()


class Session:
    """Does something on a channel of the outsider's until it is left; reconnects when the broker was away.

    `open` prepares a new channel; `turn` is called again and again, between deliveries.
    """

    def __init__(
        self, outsider: Outsider, open_: Callable[[Any], None], turn: Callable[[Any], None] = lambda _: None
    ) -> None:
        self._outsider, self._open, self._turn = outsider, open_, turn
        self._failure: Exception | None = None
        self._stop = threading.Event()
        self._is_open = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outsider", daemon=True)

    def __enter__(self) -> "Session":
        self._thread.start()
        if not self._is_open.wait(60):
            self._stop.set()
            raise CommandError("RabbitMQ could not be reached in a minute")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise CommandError(f"the fault ended early: {self._failure!r}") from self._failure

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._converse()
            except LOST:
                self._stop.wait(_PAUSE_S)
            except Exception as unexpected:  # told when it is left, where somebody listens
                self._failure = unexpected
                return

    def _converse(self) -> None:
        connection = self._outsider.connect()
        try:
            channel = connection.channel()
            channel.auto_decode = False  # bodies stay the bytes that they are
            self._open(channel)
            self._is_open.set()
            beat_at = time.monotonic()
            while not self._stop.is_set():
                with suppress(TimeoutError):
                    connection.drain_events(timeout=_TURN_S)
                self._turn(channel)
                if time.monotonic() > beat_at:
                    connection.heartbeat_tick()
                    beat_at = time.monotonic() + 5.0
        finally:
            connection.collect()
