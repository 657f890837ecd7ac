"""Counts the deaths of pool processes, so that a message that kills its own is buried in the end."""

from typing import Any

from shared_events import retries


class CrashGuard:
    """Counts how often a message that ran alone took its process with it. Without Redis it counts nothing."""

    LIMIT = 3

    def __init__(self, redis: Any, service: str) -> None:
        self._redis = redis
        self._prefix = f"{service}:solo:"

    def enter(self, message_id: str) -> None:
        """Note that the message starts alone. Raises KilledItsWorker after LIMIT deaths."""
        deaths = self._do("incr", message_id) or 1
        self._do("expire", message_id, 86_400)
        if deaths > self.LIMIT:
            self.leave(message_id)
            raise retries.KilledItsWorker(f"its process died {deaths - 1} times while it ran alone")

    def leave(self, message_id: str) -> None:
        """Note that the process survived the message."""
        self._do("delete", message_id)

    def _do(self, command: str, message_id: str, *arguments: int) -> int | None:
        from redis.exceptions import RedisError

        try:
            return int(getattr(self._redis, command)(self._prefix + message_id, *arguments))
        except RedisError:
            return None
