"""One thing that a stack keeps running: wanted or not, alive or not, and what its probe last said."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local_stack.errors import StackError
from local_stack.process import Process

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_HEALTHY_AFTER_S = 60.0

# What a probe says: "ready", "degraded", or None for silence and refusal.
Probe = Callable[[], str | None]
# A probe costs both sides some work, of all processes together as much as some orders a second.
_ASK_AGAIN_S = {None: 0.25, "degraded": 2.0, "ready": 10.0}


@dataclass(eq=False)
class Unit:
    """A process or server under supervision. One thread calls `tick`; others set `wanted` and call `restart`.

    `launch` starts `process` anew with what holds at that moment (ports, upstreams, concurrency).
    """

    name: str
    role: str
    address: str
    process: Process
    launch: Callable[[], None]
    probe: Probe
    wanted: bool = False
    removed: bool = False
    restarts: int = 0
    health: str | None = None
    _pause_s: float = _FIRST_PAUSE_S
    _start_at: float = 0.0
    _started_at: float | None = None
    _been_ready: bool = False
    _ending_since: float | None = None
    _restarting: bool = False
    _probe_at: float = 0.0
    _probing: bool = False

    @property
    def port(self) -> int:
        """The port of its address: a unit stays on the one that it was made for."""
        return int(self.address.rpartition(":")[2])

    @property
    def state(self) -> str:
        """`starting`, `ready`, `degraded`, `stopped` or `failed`."""
        if not self.process.alive():
            if not self.wanted:
                return "stopped"
            return "starting" if self._started_at is None else "failed"
        if self._ending_since is not None:
            return "degraded"
        if self.health is not None:
            return self.health
        return "degraded" if self._been_ready else "starting"

    def restart(self) -> None:
        """Have it ended gracefully and started again; this counts as no restart of a dead one."""
        self._restarting = self.process.alive()

    def tick(self) -> None:
        """Bring what is closer to what is wanted; never blocks longer than a launch."""
        now = time.monotonic()
        if self.process.alive():
            if not self.wanted or self._restarting:
                self._end(now)
            elif self._healthy_for(now) > _HEALTHY_AFTER_S:
                self._pause_s = _FIRST_PAUSE_S
            return
        if self._started_at is not None:
            self._note_end(now)
        if self.wanted and now >= self._start_at:
            self._begin(now)

    def probe_due(self) -> bool:
        """Return whether its probe should be asked now; if so, it is noted as being asked."""
        now = time.monotonic()
        if self._probing or now < self._probe_at or not self.process.alive():
            return False
        self._probing = True
        self._probe_at = now + _ASK_AGAIN_S[self.health]
        return True

    def ask(self) -> None:
        """Ask the probe, in whatever thread, and note what it says of the child that it was asked about."""
        pid = self.process.pid
        try:
            said = self.probe()
        finally:
            self._probing = False
        if pid is not None and pid == self.process.pid:
            self.health = said
            self._been_ready = self._been_ready or said is not None

    def describe(self) -> dict[str, Any]:
        """Return what `status` says about it."""
        return {
            "name": self.name,
            "role": self.role,
            "pid": self.process.pid,
            "address": self.address,
            "state": self.state,
            "restarts": self.restarts,
        }

    def _begin(self, now: float) -> None:
        self.health, self._been_ready, self._probe_at = None, False, now + 0.1
        self._started_at = now
        self._restarting = False
        try:
            self.launch()
        except (OSError, StackError) as error:  # as if it had died at once: told in its log, and tried again
            with self.process.log.open("a") as log:
                log.write(f"cannot be started: {error}\n")

    def _end(self, now: float) -> None:
        if self._ending_since is None:
            self._ending_since = now
            self.process.terminate()
        elif now - self._ending_since > self.process.grace_s:
            self.process.kill()

    def _note_end(self, now: float) -> None:
        planned = self._ending_since is not None or not self.wanted
        self.process.kill()  # whatever of its group outlived it
        self._started_at = self._ending_since = self.health = None
        if planned:
            self._start_at = now
        else:
            self.restarts += 1
            self._start_at = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _healthy_for(self, now: float) -> float:
        return now - self._started_at if self._started_at is not None and self.health else 0.0
