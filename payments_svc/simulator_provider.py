"""The provider that the local stack uses: the simulator, spoken to over HTTP."""

import logging
import os
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import msgspec
import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from payments_svc.provider import (
    Approved,
    Outcome,
    ProviderRecord,
    ProviderTimeout,
    ProviderUnavailable,
    Refused,
)
from shared_events import environment

# The outcome says what a line for each lost connection would.
logging.getLogger("urllib3").setLevel(logging.ERROR)

_NEVER_SENT = (NewConnectionError, ConnectTimeoutError)
_KEPT_CONNECTIONS = 32

Headers = dict[str, str] | None
Response = urllib3.BaseHTTPResponse


class SimulatorProvider:
    """Speaks to `provider-simulator` at `url` (default: the environment's ORDERFLOW_PROVIDER_URL).

    Connections are kept and reused. A process that was forked opens its own: a socket shared by two
    processes would mix up their answers.
    """

    def __init__(self, url: str | None = None, timeout_s: float = 2.5) -> None:
        self._url = (url or environment.url("ORDERFLOW_PROVIDER_URL", "http", "https")).rstrip("/")
        self._timeout_s = timeout_s
        self._connections: urllib3.PoolManager | None = None
        self._owner = 0

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
        items: list[dict[str, Any]] = msgspec.json.decode(response.data)["items"]
        return [_record(item) for item in items]

    def _post(self, path: str, key: str, body: dict[str, Any]) -> Outcome:
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        return _outcome(self._send("POST", path, msgspec.json.encode(body), headers))

    def _send(self, method: str, path: str, body: bytes | None = None, headers: Headers = None) -> Response:
        """Send one request; sort what goes wrong into "never happened" and "may have happened"."""
        try:
            response = self._own_connections().request(
                method, self._url + path, body=body, headers=headers, redirect=False, retries=False
            )
        except _NEVER_SENT as error:
            raise ProviderUnavailable(f"the provider cannot be reached: {error}") from error
        except HTTPError as error:
            raise ProviderTimeout(f"the provider's answer did not come: {error!r}") from error
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ProviderUnavailable(f"the provider answered {response.status}")
        return response

    def _own_connections(self) -> urllib3.PoolManager:
        if self._connections is None or self._owner != os.getpid():
            self._connections = urllib3.PoolManager(
                maxsize=_KEPT_CONNECTIONS, timeout=urllib3.Timeout(total=self._timeout_s)
            )
            self._owner = os.getpid()
        return self._connections


def _outcome(response: Response) -> Outcome:
    """Read an answer; what is not one of the two known shapes leaves the call in doubt."""
    try:
        answer: dict[str, str] = msgspec.json.decode(response.data)
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
