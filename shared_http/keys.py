"""Where the keys that sign tokens come from: a JWKS address, or a JWKS file."""

import json
import threading
import time
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from jwt import PyJWK, PyJWKClient, PyJWKSet
from jwt.exceptions import PyJWKClientConnectionError, PyJWKClientError, PyJWKSetError

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

    PyJWKClient fetches under one lock with a time-out of 2 s; after a failure nobody waits on it for 5 s, so
    an identity provider that is down cannot hold all request threads, and known keys go on working.
    """

    def __init__(self, url: str) -> None:
        self._client = PyJWKClient(url, lifespan=3600, timeout=2, cooldown_duration=30)
        self._quiet_until = 0.0

    def find(self, kid: str) -> PyJWK | None:
        """Return the key of that id, or None. Raises KeysUnreachable."""
        known = self._known(kid)
        if known is not None:
            return known
        if time.monotonic() < self._quiet_until:
            raise KeysUnreachable
        try:
            return self._client.get_signing_key(kid)
        except PyJWKClientConnectionError as error:
            self._quiet_until = time.monotonic() + _QUIET_AFTER_FAILURE_S
            raise KeysUnreachable from error
        except PyJWKSetError as error:
            raise KeysUnreachable from error
        except PyJWKClientError:
            return None

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
