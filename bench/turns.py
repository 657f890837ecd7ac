"""The two kinds of turn: as fast as it can (closed loop), and at a given pace (open loop)."""

import os
import time
from dataclasses import dataclass, field
from typing import Any

from bench import figures
from bench.accounting import Meter
from bench.generator import Wanted
from bench.load import limit_s, send
from bench.place import HOT, KINDS
from bench.system import System
from orderflow_cli.errors import CommandError

CONNECTIONS = 16
_OPEN_CONNECTIONS = 64
_SHORTEST_S, _LONGEST_S = 0.05, 1.0
_STILL_S, _SLOWEST = 60.0, 5.0
"""So long without an end, and who is unfinished is stuck. Many go step by step side by side, and end late: they have
more time, as if so many a second were done."""


def place_of(kind: str) -> int:
    """Return where a kind of process stands in a table."""
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


@dataclass
class Turn:
    """What a load came to. `cpu_s` is by process kind; `finished_s` from the first POST to the last end.

    One that is not `drained` ended with the last answer: its orders are only accepted. `elsewhere_cores` is the CPU
    that others on this machine took meanwhile: the more, the less the turn says.
    """

    run: str
    orders: int
    sent_s: float
    finished_s: float
    unfinished: int
    drained: bool
    intake_ms: list[float]
    confirmed_ms: list[float] = field(default_factory=list)
    cpu_s: dict[str, float] = field(default_factory=dict)
    apart_s: dict[str, float] = field(default_factory=dict)
    elsewhere_cores: float = 0.0

    @property
    def finished_per_s(self) -> float:
        """Orders a second through the whole saga: intake, processing and drain."""
        return (self.orders - self.unfinished) / self.finished_s

    @property
    def accepted_per_s(self) -> float:
        """Orders a second at the door alone."""
        return self.orders / self.sent_s

    def cpu_ms(self) -> dict[str, float]:
        """Return the CPU ms of an order by process kind, and their `total`."""
        kinds = sorted(self.cpu_s, key=lambda kind: (place_of(kind), kind))
        each = {kind: round(1000 * self.cpu_s[kind] / self.orders, 3) for kind in kinds}
        return {**each, "total": round(sum(each.values()), 3)}

    def apart_ms(self) -> dict[str, float]:
        """Return the CPU ms of an order of those who stand for the world."""
        return {kind: round(1000 * used / self.orders, 3) for kind, used in self.apart_s.items()}

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "run": self.run,
            "orders": self.orders,
            "unfinished": self.unfinished,
            "seconds": round(self.finished_s, 3),
            **({"orders_per_s": round(self.finished_per_s, 1)} if self.drained else {}),
            "accepted_per_s": round(self.accepted_per_s, 1),
            "cpu_ms_per_order": self.cpu_ms(),
            "apart": self.apart_ms(),
            "elsewhere_cores": round(self.elsewhere_cores, 2),
            "intake_ms": figures.shown(self.intake_ms),
            "confirmed_ms": figures.shown(self.confirmed_ms),
        }


def closed(system: System, run: str, orders: int, *, hot: bool = False, drained: bool = True) -> Turn:
    """Send orders over 16 connections, each when the one before is answered; wait for the last to end."""
    return _turn(system, _wanted(system, run, orders, None, hot=hot), drained=drained)


def opened(system: System, run: str, rate: float, seconds: float, *, drained: bool = True) -> Turn:
    """Send orders at an even pace, whatever becomes of them; wait for the last to end."""
    orders = max(1, round(rate * seconds))
    return _turn(system, _wanted(system, run, orders, rate, hot=False), drained=drained)


def _wanted(system: System, run: str, orders: int, rate: float | None, *, hot: bool) -> Wanted:
    return Wanted(
        ports=system.ports,
        run=run,
        tokens=system.tokens(),
        skus=list(system.skus),
        orders=orders,
        connections=_OPEN_CONNECTIONS if rate else CONNECTIONS,
        parent=os.getpid(),
        limit_s=limit_s(orders, rate),
        rate=rate,
        hot=HOT if hot else None,
    )


def _turn(system: System, wanted: Wanted, *, drained: bool) -> Turn:
    meter = Meter(system.roots())
    began, own_s = time.monotonic(), time.process_time()
    sent = send(wanted)
    ended, unfinished = sent.ended, 0
    if drained:
        unfinished = await_end(system)
        ended = time.time()
    used = meter.read()
    known_s = sum(used.values()) + sent.cpu_s + time.process_time() - own_s
    elsewhere = max(0.0, meter.machine_s - known_s) / (time.monotonic() - began)
    system.note(wanted.run, sent)
    apart = {kind: used.pop(kind) for kind in system.apart & used.keys()}
    return Turn(
        run=wanted.run,
        orders=wanted.orders,
        sent_s=sent.ended - sent.began,
        finished_s=ended - sent.began,
        unfinished=unfinished,
        drained=drained,
        intake_ms=sent.latencies_ms,
        confirmed_ms=system.confirmed_ms(wanted.run) if drained else [],
        cpu_s=used,
        apart_s={**apart, "generator": sent.cpu_s},
        elsewhere_cores=elsewhere,
    )


def await_end(system: System) -> int:
    """Wait until nothing is unfinished, or nothing moves any more; return how many are stuck.

    Each look costs a little: the next one is due when about half of what was left should be done.
    """
    least = system.unfinished()
    seen = moved = time.monotonic()
    pause = _SHORTEST_S
    while least:
        time.sleep(pause)
        left, now = system.unfinished(), time.monotonic()
        if left < least:
            pause = min(_LONGEST_S, max(_SHORTEST_S, 0.5 * left * (now - seen) / (least - left)))
            least, moved = left, now
        elif now - moved > _STILL_S + left / _SLOWEST:
            return least
        seen = now
    return 0


def insist(turn: Turn) -> Turn:
    """Return a turn of ours; CommandError if it left anything unfinished."""
    if turn.unfinished:
        raise CommandError(f"{turn.run}: {turn.unfinished} of {turn.orders} orders are unfinished")
    return turn
