"""Redis' part in idempotency: who is working on a key right now. It may be lost at any time.

One round trip claims a key and tells whether another has it; one frees it if nothing came of the request. An
answered key stays claimed until its lease ends. The truth is the database row.
"""

import logging
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from uuid_utils import uuid4

LEASE_MS = 40_000
"""Longer than a request may run (30 s): a claim outlives its request only if the process died."""
_TIMEOUT_S = 0.2
_QUIET_AFTER_FAILURE_S = 2.0
_FREE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What Redis said. `token` is ours if the key was free; `seen` if another request works on it, or did.

    Neither: Redis is away. Then the row decides.
    """

    token: bytes | None = None
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
        self._idle: deque[Any] = deque()
        self._free = self._redis.register_script(_FREE)
        self._prefix = f"{service}:idempotency:"
        self._quiet_until = 0.0

    def claim(self, name: str) -> Claimed:
        """Claim a key, unless somebody has it. Never raises: without Redis nothing is claimed."""
        if time.monotonic() < self._quiet_until:
            return Claimed()
        token = uuid4().bytes
        try:
            holder = self._ask("SET", self._prefix + name, token, "NX", "GET", "PX", LEASE_MS)
        except redis.RedisError as error:
            self._lost(error)
            return Claimed()
        return Claimed(token=token) if holder in (None, token) else Claimed(seen=True)

    def _ask(self, *command: str | bytes | int) -> object:
        """Send one command over a connection that nobody uses: redis-py's client costs far more than the way there.

        If the server hung up on one that was kept, the command goes over another, and so may be done twice.
        """
        while self._idle:
            with suppress(IndexError, redis.ConnectionError):  # another thread may have taken the last one
                return self._over(self._idle.pop(), command)
        pool = self._redis.connection_pool
        return self._over(pool.connection_class(**pool.connection_kwargs), command)

    def _over(self, connection: Any, command: Sequence[str | bytes | int]) -> object:
        connection.send_command(*command, check_health=False)
        answer = connection.read_response()
        self._idle.append(connection)
        return answer

    def free(self, name: str, claimed: Claimed) -> None:
        """Give back a claim of ours: nothing came of the request. Another's claim is left alone."""
        if claimed.token is None or time.monotonic() < self._quiet_until:
            return
        try:
            self._free(keys=[self._prefix + name], args=[claimed.token])
        except redis.RedisError as error:
            self._lost(error)

    def _lost(self, error: redis.RedisError) -> None:
        """Do without Redis for two seconds, so that not every request waits for its time-out."""
        self._quiet_until = time.monotonic() + _QUIET_AFTER_FAILURE_S
        self._idle.clear()  # the others are as old, and as dead
        _log.warning("Redis is away, idempotency goes on with the rows alone: %s", error)
