"""Calls to the provider simulator from threads: one connection a thread, kept open, and nothing around it."""

import http.client
import threading
from urllib.parse import urlsplit

import msgspec

from bench.contenders.shop import ProviderTrouble, Row

_TIMEOUT_S = 10.0


class Simulator:
    """The provider at `url`; threads may share it."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._mine = threading.local()

    def ask(self, path: str, key: str, body: Row) -> Row:
        """POST to the provider and return its answer. Raises ProviderTrouble or OSError."""
        connection = self._connection()
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        try:
            connection.request("POST", path, msgspec.json.encode(body), headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request opens it again
            raise
        if response.status != http.client.OK:
            raise ProviderTrouble(f"the provider answered {response.status}")
        answer: Row = msgspec.json.decode(content)
        return answer

    def _connection(self) -> http.client.HTTPConnection:
        known: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        if known is None:
            known = self._mine.connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_S)
        return known
