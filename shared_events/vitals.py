"""Whether this process is alive and ready, for its probes."""

import time
from dataclasses import dataclass, field

LIVE_WITHIN_S = 15.0


@dataclass
class Vitals:
    """Alive: the main loop turned lately, also while it waits for a broker. Ready: it works right now."""

    ready: bool = False
    _beat_at: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        """Note that the main loop turns."""
        self._beat_at = time.monotonic()

    @property
    def live(self) -> bool:
        """Whether the main loop turned within LIVE_WITHIN_S seconds."""
        return time.monotonic() - self._beat_at < LIVE_WITHIN_S


VITALS = Vitals()
"""This process's."""
