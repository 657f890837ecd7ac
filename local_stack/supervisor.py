"""The one background process of a stack: it owns all servers and processes, and restarts what dies.

`python -m local_stack`, started by `./orderflow up`. The main thread alone starts
processes (they die with it, see Process); other threads ask probes, answer the command line, and boot.
"""

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from local_stack import leftovers
from local_stack.errors import StackError
from local_stack.process import descendants
from local_stack.unit import Unit

_TICK_S = 0.2
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: orphans of our children come to us, so that none is forgotten


class Supervisor:
    """Keeps units running. `boot` is run once in a thread of its own; if it raises, all is ended."""

    def __init__(self, data: Path, boot: Callable[["Supervisor"], None]) -> None:
        self.data = data
        self.phase = "starting"
        self.error: str | None = None
        self.said: list[str] = []
        self.units: dict[str, Unit] = {}
        self._beside: list[Unit] = []
        self._boot = boot
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._recorded: set[int] = set()
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="probe")

    def run(self) -> int:
        """Supervise until told to end; return the exit status."""
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.end())
        threading.Thread(target=self._run_boot, name="boot", daemon=True).start()
        while not self._stopping.is_set():
            self._tick()
            time.sleep(_TICK_S)
        self._end_all()
        return 1 if self.error else 0

    # -- what boot and the command line ask for, from their own threads

    def say(self, line: str) -> None:
        """Tell whoever watches `up` how far it is."""
        self.said.append(line)
        print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)

    def end(self) -> None:
        """End everything, gracefully."""
        self._stopping.set()

    def add(self, unit: Unit, *, wanted: bool = True) -> None:
        """Take a unit under supervision."""
        with self._lock:
            self.units[unit.name] = unit
            unit.wanted, unit.removed = wanted, False

    def want(self, names: Iterable[str], wanted: bool) -> None:
        """Have these run, or not."""
        with self._lock:
            for name in names:
                self.units[name].wanted = wanted

    def restart(self, names: Iterable[str]) -> None:
        """Have these ended gracefully and started again."""
        with self._lock:
            for name in names:
                self.units[name].wanted = True
                self.units[name].restart()

    def remove(self, names: Iterable[str]) -> None:
        """Have these ended gracefully, and forget them."""
        with self._lock:
            for name in names:
                self.units[name].wanted = False
                self.units[name].removed = True

    def start_beside(self, unit: Unit, seconds: float) -> None:
        """Start a unit beside its namesake and wait until it is ready; StackError, and it is ended, if not."""
        with self._lock:
            self._beside.append(unit)
            unit.wanted, unit.removed = True, False
        try:
            self._await([unit], seconds)
        except StackError:
            self.retire(unit)
            raise

    def take_over(self, unit: Unit, old: Unit) -> None:
        """Put a unit that runs beside `old` in its place; that one runs on.

        StackError, and the unit is ended, if `old` was removed meanwhile.
        """
        with self._lock:
            if self.units.get(unit.name) is not old or old.removed:
                self.retire(unit)
                raise StackError(f"{unit.name} was removed while its successor started")
            unit.restarts += old.restarts
            unit.wanted, unit.removed = old.wanted, old.removed
            self.units[unit.name] = unit
            self._beside[self._beside.index(unit)] = old

    def retire(self, unit: Unit) -> None:
        """Have a unit that runs beside its namesake ended gracefully, and forget it."""
        with self._lock:
            unit.wanted, unit.removed = False, True

    def await_left(self, name: str) -> None:
        """Wait until none runs beside the unit of this name; each is killed when its time to end is over."""
        while any(unit.name == name for unit in self._beside_now()):
            if self._stopping.wait(0.05):
                raise StackError("told to end while another was ending")

    def _beside_now(self) -> list[Unit]:
        with self._lock:
            return list(self._beside)

    def await_ready(self, names: Iterable[str], seconds: float) -> None:
        """Wait until all of these are ready or degraded; StackError for one that dies again and again."""
        self._await([self.units[name] for name in names], seconds)

    def _await(self, waiting: list[Unit], seconds: float) -> None:
        until = time.monotonic() + seconds
        while waiting := [unit for unit in waiting if unit.state not in {"ready", "degraded"}]:
            for unit in waiting:
                if unit.restarts >= 3 or time.monotonic() > until:
                    trouble = "does not start" if unit.restarts else f"is not ready after {seconds:g} s"
                    raise StackError(
                        f"{unit.name} {trouble}: {unit.process.last_words()} ({unit.process.log})"
                    )
            if self._stopping.wait(0.05):
                raise StackError("told to end while starting")

    def describe(self) -> dict[str, Any]:
        """Return the phase and every unit, for `status`."""
        with self._lock:
            units, beside = list(self.units.values()), list(self._beside)
        return {
            "phase": self.phase,
            "error": self.error,
            "processes": [unit.describe() for unit in units if not unit.removed],
            "leaving": [unit.name for unit in [*units, *beside] if unit.removed],
        }

    # -- the main thread

    def _tick(self) -> None:
        with self._lock:
            units = [*self.units.values(), *self._beside]
            for unit in units:
                unit.tick()
                if unit.removed and not unit.process.alive():
                    self._forget(unit)
        for unit in units:
            if unit.probe_due():
                self._pool.submit(unit.ask)
        self._write_down(units)

    def _forget(self, unit: Unit) -> None:
        if unit in self._beside:
            self._beside.remove(unit)
        else:
            self.units.pop(unit.name)

    def _write_down(self, units: Iterable[Unit]) -> None:
        alive = {unit.process.pid for unit in units if unit.process.pid is not None}
        if alive != self._recorded:
            leftovers.record(self.data, alive)
            self._recorded = alive
            self._reap_strangers(alive)

    def _reap_strangers(self, known: set[int]) -> None:
        """Collect what our children left behind and has ended; what lives on is ended with the stack."""
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        with suppress(OSError):
            for pid in map(int, children.read_text().split()):
                # What boot runs for a moment is in our own group, and is waited for there.
                if pid not in known and os.getpgid(pid) != os.getpgrp():
                    with suppress(ChildProcessError):
                        os.waitpid(pid, os.WNOHANG)

    def _run_boot(self) -> None:
        try:
            self._boot(self)
            self.phase = "ready"
        except Exception as error:  # whatever it is, it must be told to who waits for `up`, and all ended
            self.error = error.format_message() if isinstance(error, StackError) else repr(error)
            self.phase = "failed"
            self.say(f"failed: {self.error}")
            time.sleep(1.0)  # `up` asks every quarter of a second
            self.end()

    def _end_all(self) -> None:
        if not self.error:
            self.phase = "ending"
        self.say("ending")
        for wave in _waves([*self._beside, *self.units.values()]):
            self._end_wave(wave)
        for pid in descendants(os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, 0):
                pass
        leftovers.record(self.data, [])

    def _end_wave(self, units: list[Unit]) -> None:
        with self._lock:
            for unit in units:
                unit.wanted = False
        while any(unit.process.alive() for unit in units):
            with self._lock:
                for unit in units:
                    unit.tick()
            time.sleep(0.05)
        for unit in units:
            unit.process.kill()


def _waves(units: Iterable[Unit]) -> list[list[Unit]]:
    """Return who ends before whom: the door, then what works, then the servers that it works on."""
    last = ("postgres", "redis", "rabbitmq", "provider-simulator", "fault-proxy")
    waves: tuple[list[Unit], list[Unit], list[Unit]] = ([], [], [])
    for unit in units:
        waves[0 if unit.role == "gateway" else 2 if unit.name in last else 1].append(unit)
    return list(waves)
