"""The storm: every fault of a schedule at its time, a thread each; healed, and measured until all is well again."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.markup import escape

from orderflow_cli.chaos.inject import INJECTORS
from orderflow_cli.chaos.insist import FAILURES
from orderflow_cli.chaos.kinds import KINDS
from orderflow_cli.chaos.scene import Scene
from orderflow_cli.chaos.schedule import Fault

_TRIES = 30
_PAUSE_S = 2.0
_CALL_OFF_S = 30.0


@dataclass
class Struck:
    """A fault as it happened: seconds since the load began, and until an order placed after it was final."""

    fault: Fault
    at: float
    recovered_after_s: float | None = None
    problem: str = ""


class Storm:
    """Makes the faults of a schedule. `canary` places an order and returns once it is final."""

    def __init__(
        self, scene: Scene, faults: Sequence[Fault], seconds: float, canary: Callable[[Fault], None]
    ) -> None:
        self._scene, self._faults, self._seconds, self._canary = scene, faults, seconds, canary
        self._over = threading.Event()
        self._called_off = threading.Event()
        self._targets = {fault.target: threading.Lock() for fault in faults}
        self.struck: list[Struck] = []
        self._threads = [
            threading.Thread(target=self._strike, args=(fault,), daemon=True) for fault in self._faults
        ]

    def begin(self) -> None:
        """Start the clock."""
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Let what spans the run be healed, and wait until everything is."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        self.struck.sort(key=lambda each: each.fault.number)

    def call_off(self) -> None:
        """Begin no further fault, and heal what is broken now."""
        self._called_off.set()
        self._over.set()
        until = time.monotonic() + _CALL_OFF_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _strike(self, fault: Fault) -> None:
        if self._called_off.wait(self._began + fault.at - time.monotonic()):
            return
        with self._targets[fault.target]:  # what hits the same goes one after another
            if self._called_off.is_set():
                return
            began = time.monotonic()
            struck = Struck(fault, round(began - self._began, 1))
            self.struck.append(struck)
            try:
                self._inject(fault)
                self._canary(fault)
                struck.recovered_after_s = round(time.monotonic() - began, 1)
            except FAILURES as error:
                struck.problem = str(error) or type(error).__name__
                self._scene.say(f"[bold red]{fault.kind}[/] {fault.target}: {escape(struck.problem)}")
            except RuntimeError:  # a connection that is closed because the run is called off
                if not self._called_off.is_set():
                    raise

    def _inject(self, fault: Fault) -> None:
        """Make the fault; one whose target is away just now (another fault) is tried again, and so is its healing.

        An injection is left but once: what heals it tries again by itself (`insist`).
        """
        for attempt in range(1, _TRIES + 1):
            injection = INJECTORS[fault.kind](self._scene, fault)
            try:
                injection.__enter__()
            except FAILURES:
                if attempt == _TRIES or self._called_off.wait(_PAUSE_S):
                    raise
                continue
            break
        self._scene.say(f"[bold red]fault[/] {fault.kind} {fault.target}{_how_long(fault)}")
        try:
            if KINDS[fault.kind].spans and fault.lasts_s >= self._seconds:
                self._over.wait()
            else:
                self._called_off.wait(fault.lasts_s)
        finally:
            injection.__exit__(None, None, None)


def _how_long(fault: Fault) -> str:
    return f" for {fault.lasts_s:g} s" if fault.lasts_s else ""
