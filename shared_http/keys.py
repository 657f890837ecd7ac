"""Where the keys that sign tokens come from: a JWKS address, or a JWKS file."""

import json
import math
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from jwt import PyJWK, PyJWKClient, PyJWKSet
from jwt.exceptions import PyJWKSetError

WAIT_S = 2
_QUIET_AFTER_FAILURE_S = 5.0
_GIVEN_UP_AFTER_S = 30.0
_KNOWN_FOR_S, _UNKNOWN_FOR_S = 3600.0, 30.0


class KeysUnreachable(Exception):
    """The identity provider does not answer with keys, and this one is not known yet."""


class Keys(Protocol):
    """Finds the key that signed a token."""

    def find(self, kid: str) -> PyJWK | None:
        """Return the key of that id, or None. Raises KeysUnreachable."""


def keys_at(url: str) -> Keys:
    """Return the keys behind an `http(s)://` or `file://` URL. Nothing is read before the first use."""
    parts = urlsplit(url)
    return FileKeys(Path(unquote(parts.path))) if parts.scheme == "file" else RemoteKeys(url)


class RemoteKeys:
    """Keys of an address, kept for an hour, and for longer while they cannot be fetched.

    One fetch runs at a time, and no request waits for it longer than WAIT_S, even if the answer comes in drops. After
    a failure nobody waits for 5 s, so an identity provider that is down cannot hold all request threads. One that has
    not come to an end after 30 s is given up: the next request begins another. A key that is not among those fetched
    is asked for once in 30 s.
    """

    def __init__(self, url: str) -> None:
        self._client = PyJWKClient(url, cache_jwk_set=False, timeout=WAIT_S)
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = -math.inf
        self._quiet_until = -math.inf
        self._lock = threading.Lock()
        self._fetch: _Fetch | None = None

    def find(self, kid: str) -> PyJWK | None:
        """Return the key of that id, or None. Raises KeysUnreachable."""
        known = self._keys.get(kid)
        if time.monotonic() - self._fetched_at < (_KNOWN_FOR_S if known else _UNKNOWN_FOR_S):
            return known
        try:
            self._await_fetch()
        except KeysUnreachable:
            if known is None:
                raise
            return known
        return self._keys.get(kid)

    def _await_fetch(self) -> None:
        if time.monotonic() < self._quiet_until:
            raise KeysUnreachable
        try:
            self._fetching().done.result(timeout=WAIT_S)
        except (KeysUnreachable, TimeoutError) as error:
            self._quiet_until = time.monotonic() + _QUIET_AFTER_FAILURE_S
            raise KeysUnreachable from error

    def _fetching(self) -> "_Fetch":
        """Return the fetch that is under way, or begin one."""
        with self._lock:
            now = time.monotonic()
            under_way = self._fetch is not None and not self._fetch.done.done()
            if self._fetch is None or not under_way or now - self._fetch.began > _GIVEN_UP_AFTER_S:
                self._fetch = _Fetch(now)
                threading.Thread(target=self._run, args=[self._fetch], daemon=True).start()
            return self._fetch

    def _run(self, fetch: "_Fetch") -> None:
        try:
            found = self._client.get_signing_keys()
        except Exception as error:  # whatever it is, nobody must wait for these keys, nor lose the older ones
            fetch.done.set_exception(KeysUnreachable(repr(error)))
            return
        with self._lock:
            if self._fetch is fetch:  # else it was given up, and what it brings may be old
                self._keys = {key.key_id: key for key in found if key.key_id}
                self._fetched_at = time.monotonic()
        fetch.done.set_result(None)


@dataclass(frozen=True)
class _Fetch:
    began: float
    done: Future[None] = field(default_factory=Future)


class FileKeys:
    """Keys of a file, read again when it has changed and a token names a key that is not known."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._keys: dict[str, PyJWK] = {}
        self._read_at: int | None = None

    def find(self, kid: str) -> PyJWK | None:
        """Return the key of that id, or None. Raises KeysUnreachable if the file cannot be read."""
        if kid not in self._keys:
            with self._lock:
                self._read_if_changed()
        return self._keys.get(kid)

    def _read_if_changed(self) -> None:
        try:
            changed_at = self._path.stat().st_mtime_ns
            if changed_at == self._read_at:
                return
            found = PyJWKSet.from_dict(json.loads(self._path.read_bytes()))
        except (OSError, ValueError, PyJWKSetError) as error:
            raise KeysUnreachable(str(error)) from error
        self._keys = {key.key_id: key for key in found.keys if key.key_id}
        self._read_at = changed_at
