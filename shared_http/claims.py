"""Redis' part in idempotency: who is working on a key right now. It may be lost at any time.

One round trip claims a key and tells what stood there, one frees or marks it. The truth is the database row.
"""

import logging
import secrets
import time
from dataclasses import dataclass

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

LEASE_MS = 40_000
"""Longer than a request may run (30 s): a claim outlives its request only if the process died."""
REMEMBER_MS = 600_000
"""How long Redis says that a key was answered. Later the row alone says so, at a higher cost."""

_ANSWERED = b"answered"
_TIMEOUT_S = 0.2
_QUIET_AFTER_FAILURE_S = 2.0
_RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What Redis said. `token` is ours if the key was free; `busy` if another request works on it.

    Neither: the key was answered before, or Redis is away. Then the row decides.
    """

    token: bytes | None = None
    busy: bool = False
    seen: bool = False


class Claims:
    """The in-flight claims of one service, under its own prefix."""

    def __init__(self, url: str, service: str) -> None:
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._release = self._redis.register_script(_RELEASE)
        self._prefix = f"{service}:idempotency:"
        self._quiet_until = 0.0

    def claim(self, name: str) -> Claimed:
        """Claim a key, unless somebody has it. Never raises: without Redis nothing is claimed."""
        if time.monotonic() < self._quiet_until:
            return Claimed()
        token = secrets.token_bytes(16)
        try:
            held = self._redis.set(self._prefix + name, token, nx=True, get=True, px=LEASE_MS)
        except redis.RedisError as error:
            self._lost(error)
            return Claimed()
        if held is None:
            return Claimed(token=token)
        return Claimed(busy=held != _ANSWERED, seen=True)

    def free(self, name: str, claimed: Claimed, *, answered: bool) -> None:
        """Give back a claim of ours: the key is free again, or answered. Another's claim is left alone."""
        if claimed.token is None or time.monotonic() < self._quiet_until:
            return
        mark = _ANSWERED if answered else b""
        try:
            self._release(keys=[self._prefix + name], args=[claimed.token, mark, REMEMBER_MS])
        except redis.RedisError as error:
            self._lost(error)

    def _lost(self, error: redis.RedisError) -> None:
        """Do without Redis for two seconds, so that not every request waits for its time-out."""
        self._quiet_until = time.monotonic() + _QUIET_AFTER_FAILURE_S
        _log.warning("Redis is away, idempotency goes on with the rows alone: %s", error)
