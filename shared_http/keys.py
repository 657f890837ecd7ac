"""Where the keys that sign tokens come from: a JWKS address, or a JWKS file."""

import json
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from jwt import PyJWK, PyJWKClient, PyJWKSet
from jwt.exceptions import PyJWKClientConnectionError, PyJWKClientError, PyJWKSetError

WAIT_S = 2
_QUIET_AFTER_FAILURE_S = 5.0


class KeysUnreachable(Exception):
    """The identity provider does not answer, and the key is not known yet."""


class Keys(Protocol):
    """Finds the key that signed a token."""

    def find(self, kid: str) -> PyJWK | None:
        """Return the key of that id, or None. Raises KeysUnreachable."""


def keys_at(url: str) -> Keys:
    """Return the keys behind an `http(s)://` or `file://` URL. Nothing is read before the first use."""
    parts = urlsplit(url)
    return FileKeys(Path(unquote(parts.path))) if parts.scheme == "file" else RemoteKeys(url)


class RemoteKeys:
    """Keys of an address, kept for an hour.

    One fetch runs at a time, and no request waits for it longer than WAIT_S, even if the answer comes in drops. After
    a failure nobody waits for 5 s, so an identity provider that is down cannot hold all request threads. Known keys go
    on working until they are that old.
    """

    def __init__(self, url: str) -> None:
        self._client = PyJWKClient(url, lifespan=3600, timeout=WAIT_S, cooldown_duration=30)
        self._quiet_until = 0.0
        self._lock = threading.Lock()
        self._fetch: tuple[str, Future[PyJWK | None]] | None = None

    def find(self, kid: str) -> PyJWK | None:
        """Return the key of that id, or None. Raises KeysUnreachable."""
        until = time.monotonic() + WAIT_S
        while (known := self._known(kid)) is None:
            if time.monotonic() < self._quiet_until:
                raise KeysUnreachable
            fetched, answer = self._fetching(kid)
            try:
                found = answer.result(timeout=max(0.0, until - time.monotonic()))
            except (PyJWKClientConnectionError, TimeoutError) as error:
                self._quiet_until = time.monotonic() + _QUIET_AFTER_FAILURE_S
                raise KeysUnreachable from error
            except PyJWKSetError as error:
                raise KeysUnreachable from error
            if fetched == kid:
                return found
        return known

    def _fetching(self, kid: str) -> tuple[str, "Future[PyJWK | None]"]:
        """Return the fetch that is under way and for which key, or begin one for this key."""
        with self._lock:
            if self._fetch is None or self._fetch[1].done():
                self._fetch = (kid, Future())
                threading.Thread(target=self._run, args=self._fetch, daemon=True).start()
            return self._fetch

    def _run(self, kid: str, answer: "Future[PyJWK | None]") -> None:
        try:
            answer.set_result(self._client.get_signing_key(kid))
        except (PyJWKClientConnectionError, PyJWKSetError) as error:
            answer.set_exception(error)
        except PyJWKClientError:
            answer.set_result(None)
        except Exception as error:  # whoever waits is told, whatever it is
            answer.set_exception(error)

    def _known(self, kid: str) -> PyJWK | None:
        cache = self._client.jwk_set_cache
        known = cache.get() if cache else None
        return self._client.match_kid(known.keys, kid) if known else None


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
