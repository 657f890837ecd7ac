"""The provider that the local stack uses: the simulator, spoken to over HTTP."""

import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, cast
from urllib.parse import SplitResult, urlencode, urlsplit

import httptools
import msgspec

from payments_svc.provider import (
    Approved,
    Outcome,
    ProviderRecord,
    ProviderTimeout,
    ProviderUnavailable,
    Refused,
)
from shared_events import environment


class Response(NamedTuple):
    """What the simulator answered."""

    status: int
    content: bytes


class SimulatorProvider:
    """Speaks to `provider-simulator` at `url` (default: the environment's ORDERFLOW_PROVIDER_URL).

    Each thread keeps a connection of its own, and httptools reads the answers: the standard library's client costs
    twice the CPU, and one with a pool more. A process that was forked opens others: a socket shared by two processes
    would mix up their answers.
    """

    def __init__(self, url: str | None = None, timeout_s: float = 2.5) -> None:
        self._where = urlsplit(url or environment.url("ORDERFLOW_PROVIDER_URL", "http", "https"))
        self._timeout_s = timeout_s
        self._mine = threading.local()

    def authorize(self, key: str, amount: int, currency: str, method: str, order_id: str) -> Outcome:
        """Hold the money."""
        body = {"order_id": order_id, "amount": amount, "currency": currency, "method": method}
        return self._post("/authorizations", key, body)

    def capture(self, key: str, reference: str, amount: int, currency: str) -> Outcome:
        """Take the money held."""
        return self._post("/captures", key, {"reference": reference, "amount": amount, "currency": currency})

    def void(self, key: str, reference: str) -> Outcome:
        """Let the hold go."""
        return self._post("/voids", key, {"reference": reference})

    def refund(self, key: str, reference: str, amount: int, currency: str) -> Outcome:
        """Give captured money back."""
        return self._post("/refunds", key, {"reference": reference, "amount": amount, "currency": currency})

    def lookup(self, key: str) -> Outcome | None:
        """Ask what came of the call with this key."""
        response = self._send("GET", f"/calls/{key}")
        return None if response.status == HTTPStatus.NOT_FOUND else _outcome(response)

    def records(
        self, *, order_id: str | None = None, after: int = 0, limit: int = 500
    ) -> Sequence[ProviderRecord]:
        """Read the simulator's books."""
        params: dict[str, str | int] = {"after": after, "limit": limit}
        if order_id is not None:
            params["order_id"] = order_id
        response = self._send("GET", f"/records?{urlencode(params)}")
        items: list[dict[str, Any]] = msgspec.json.decode(response.content)["items"]
        return [_record(item) for item in items]

    def _post(self, path: str, key: str, body: dict[str, Any]) -> Outcome:
        headers = f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\n"
        return _outcome(self._send("POST", path, msgspec.json.encode(body), headers))

    def _send(self, method: str, path: str, body: bytes = b"", headers: str = "") -> Response:
        """Send one request; sort what goes wrong into "never happened" and "may have happened"."""
        connection = self._own_connection()
        until = time.monotonic() + self._timeout_s
        head = (
            f"{method} {self._where.path.rstrip('/')}{path} HTTP/1.1\r\nHost: {self._where.netloc}\r\n"
            f"{headers}Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            connection.open(until)
        except OSError as error:
            raise ProviderUnavailable(f"the provider cannot be reached: {error}") from error
        try:
            response = connection.exchange(head.encode() + body, until)
        except (OSError, httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            connection.close()
            raise ProviderTimeout(f"the provider's answer did not come: {error!r}") from error
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ProviderUnavailable(f"the provider answered {response.status}")
        return response

    def _own_connection(self) -> "_Connection":
        """Return this thread's connection."""
        owner, connection = getattr(self._mine, "connection", (0, None))
        if connection is None or owner != os.getpid():
            connection = _Connection(self._where)
            self._mine.connection = os.getpid(), connection
        return connection


class _Connection:
    """A connection that stays open between requests; `until` is when the caller's patience ends."""

    def __init__(self, where: SplitResult) -> None:
        self._where = where
        self._sock: socket.socket | None = None
        self._parser: httptools.HttpResponseParser
        self._body = b""
        self._is_complete = self._is_kept_alive = False

    def open(self, until: float) -> None:
        """Connect, unless it is connected and the other side has not hung up. Raises OSError."""
        if self._sock is not None and not _is_stale(self._sock):
            return
        self.close()
        secure = self._where.scheme == "https"
        to = self._where.hostname or "", self._where.port or (443 if secure else 80)
        sock = socket.create_connection(to, timeout=_left(until))
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sock = (
                ssl.create_default_context().wrap_socket(sock, server_hostname=to[0]) if secure else sock
            )
        except BaseException:
            sock.close()  # a handshake that failed leaves half a socket behind
            raise
        self._parser = httptools.HttpResponseParser(self)

    def exchange(self, request: bytes, until: float) -> Response:
        """Send a request and return its answer. Raises OSError, or what httptools raises."""
        sock = cast("socket.socket", self._sock)
        self._body, self._is_complete = b"", False
        sock.settimeout(_left(until))
        sock.sendall(request)
        while True:
            part = sock.recv(65_536)
            if not part:
                raise ConnectionResetError("the other side hung up")
            self._parser.feed_data(part)
            if self._is_complete:
                break
            sock.settimeout(_left(until))
        if not self._is_kept_alive:
            self.close()
        return Response(self._parser.get_status_code(), self._body)

    def on_body(self, part: bytes) -> None:
        """Take a part of the body."""
        self._body += part

    def on_message_complete(self) -> None:
        """Note that all of the answer has come, and whether another may follow."""
        self._is_complete, self._is_kept_alive = True, self._parser.should_keep_alive()

    def close(self) -> None:
        """Hang up."""
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()


def _left(until: float) -> float:
    return max(0.05, until - time.monotonic())


def _is_stale(sock: socket.socket) -> bool:
    """Whether the other side hung up: nothing else makes an idle connection readable."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _outcome(response: Response) -> Outcome:
    """Read an answer; what is not one of the two known shapes leaves the call in doubt."""
    try:
        answer: dict[str, str] = msgspec.json.decode(response.content)
        if answer["outcome"] == "approved":
            return Approved(answer["reference"])
        return Refused(answer["code"], answer["detail"])
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise ProviderTimeout(f"the provider's answer ({response.status}) is unreadable") from error


def _record(item: dict[str, Any]) -> ProviderRecord:
    return ProviderRecord(
        position=item["position"],
        order_id=item["order_id"],
        reference=item["reference"],
        currency=item["currency"],
        authorized=item["authorized"],
        held=item["held"],
        captured=item["captured"],
        refunded=item["refunded"],
        keys=tuple(call["key"] for call in item["calls"]),
    )
