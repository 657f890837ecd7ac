"""The provider that the local stack uses: the simulator, spoken to over HTTP."""

import http.client
import os
import select
import socket
import threading
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

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

Headers = dict[str, str] | None


class Response(NamedTuple):
    """What the simulator answered."""

    status: int
    content: bytes


class SimulatorProvider:
    """Speaks to `provider-simulator` at `url` (default: the environment's ORDERFLOW_PROVIDER_URL).

    Each thread keeps a connection of its own, from the standard library: a pool's client costs more CPU. A process
    that was forked opens others: a socket shared by two processes would mix up their answers.
    """

    def __init__(self, url: str | None = None, timeout_s: float = 2.5) -> None:
        parts = urlsplit(url or environment.url("ORDERFLOW_PROVIDER_URL", "http", "https"))
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._path = parts.netloc, parts.path.rstrip("/")
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
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        return _outcome(self._send("POST", path, msgspec.json.encode(body), headers))

    def _send(self, method: str, path: str, body: bytes | None = None, headers: Headers = None) -> Response:
        """Send one request; sort what goes wrong into "never happened" and "may have happened"."""
        connection = self._own_connection()
        until = time.monotonic() + self._timeout_s
        try:
            if connection.sock is None or _is_stale(connection.sock):
                connection.close()
                connection.connect()
            connection.sock.settimeout(max(0.05, until - time.monotonic()))
        except OSError as error:
            connection.close()  # a handshake that failed leaves half a socket behind
            raise ProviderUnavailable(f"the provider cannot be reached: {error}") from error
        try:
            connection.request(method, self._path + path, body, headers or {})
            answer = connection.getresponse()
            response = Response(answer.status, answer.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ProviderTimeout(f"the provider's answer did not come: {error!r}") from error
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ProviderUnavailable(f"the provider answered {response.status}")
        return response

    def _own_connection(self) -> http.client.HTTPConnection:
        """Return this thread's connection."""
        owner, connection = getattr(self._mine, "connection", (0, None))
        if connection is None or owner != os.getpid():
            connection = self._kind(self._host, timeout=self._timeout_s)
            self._mine.connection = os.getpid(), connection
        return connection


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
