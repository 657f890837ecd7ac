"""The provider that the local stack uses: the simulator, spoken to over HTTP."""

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

import httpx2
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

# A line per request says nothing that the outcome does not.
logging.getLogger("httpx2").setLevel(logging.WARNING)

_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class SimulatorProvider:
    """Speaks to `provider-simulator` at `url` (default: the environment's ORDERFLOW_PROVIDER_URL).

    Connections are kept and reused. A process that was forked opens its own: a socket shared by two
    processes would mix up their answers.
    """

    def __init__(self, url: str | None = None, timeout_s: float = 2.5) -> None:
        self._url = (url or environment.url("ORDERFLOW_PROVIDER_URL", "http", "https")).rstrip("/")
        self._timeout_s = timeout_s
        self._client: httpx2.Client | None = None
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
        response = self._send(lambda client: client.get(f"/calls/{key}"))
        return None if response.status_code == httpx2.codes.NOT_FOUND else _outcome(response)

    def records(
        self, *, order_id: str | None = None, after: int = 0, limit: int = 500
    ) -> Sequence[ProviderRecord]:
        """Read the simulator's books."""
        params: dict[str, str | int] = {"after": after, "limit": limit}
        if order_id is not None:
            params["order_id"] = order_id
        response = self._send(lambda client: client.get("/records", params=params))
        items: list[dict[str, Any]] = msgspec.json.decode(response.content)["items"]
        return [_record(item) for item in items]

    def _post(self, path: str, key: str, body: dict[str, Any]) -> Outcome:
        content = msgspec.json.encode(body)
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        return _outcome(self._send(lambda client: client.post(path, content=content, headers=headers)))

    def _send(self, call: Callable[[httpx2.Client], httpx2.Response]) -> httpx2.Response:
        """Send one request; sort what goes wrong into "never happened" and "may have happened"."""
        try:
            response = call(self._own_client())
        except _NEVER_SENT as error:
            raise ProviderUnavailable(f"the provider cannot be reached: {error}") from error
        except httpx2.TransportError as error:
            raise ProviderTimeout(f"the provider's answer did not come: {error!r}") from error
        if response.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
            raise ProviderUnavailable(f"the provider answered {response.status_code}")
        return response

    def _own_client(self) -> httpx2.Client:
        if self._client is None or self._owner != os.getpid():
            # trust_env=False: a proxy variable of the machine must not catch calls to a local address.
            self._client = httpx2.Client(base_url=self._url, timeout=self._timeout_s, trust_env=False)
            self._owner = os.getpid()
        return self._client


def _outcome(response: httpx2.Response) -> Outcome:
    """Read an answer; what is not one of the two known shapes leaves the call in doubt."""
    try:
        answer: dict[str, str] = msgspec.json.decode(response.content)
        if answer["outcome"] == "approved":
            return Approved(answer["reference"])
        return Refused(answer["code"], answer["detail"])
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise ProviderTimeout(f"the provider's answer ({response.status_code}) is unreadable") from error


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
