"""Broken, or settling? Four databases have no common snapshot, so a difference between them is read twice."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from orderflow_cli.invariants.rules import Finding, Invariant

_PAUSE_S = 1.0
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Contradiction:
    """A finding and the invariant that it contradicts; `order_id` if it is about an order that may be healed."""

    invariant: str
    about: str
    wrong: str
    waits_for: str = ""
    order_id: str | None = None


@dataclass
class Report:
    """Which invariants hold, what breaks the others, and what is still settling, with what it waits for."""

    invariants: dict[str, bool]
    broken: list[Contradiction] = field(default_factory=list)
    settling: list[Contradiction] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return it for a program."""
        return asdict(self)


@dataclass(frozen=True)
class Patience:
    """How long a difference may last before it is broken, and how long to wait for all to settle."""

    window_s: float = 10.0
    settle_s: float = 0.0


@dataclass
class _Doubts:
    """Since when each difference has been seen without a break. What is strict stays seen."""

    strict: dict[Key, Contradiction] = field(default_factory=dict)
    since: dict[Key, float] = field(default_factory=dict)
    open: dict[Key, Contradiction] = field(default_factory=dict)

    def note(self, found: Iterable[tuple[Invariant, Finding]], now: float) -> None:
        """Take in what one reading found."""
        before, self.since, self.open = self.since, {}, {}
        for invariant, finding in found:
            key = (invariant.name, finding.about, finding.wrong)
            order_id = str(finding.order_id) if finding.order_id and not finding.is_on_its_way else None
            seen = Contradiction(*key, waits_for=finding.waits_for, order_id=order_id)
            if invariant.strict:
                self.strict[key] = seen
            else:
                self.open[key] = seen
                self.since[key] = before.get(key, now)

    def unexplained(self) -> list[Key]:
        """Return the differences that nothing known will resolve."""
        return [key for key, seen in self.open.items() if not seen.waits_for]

    def report(self, names: Sequence[str], now: float, window_s: float) -> Report:
        """Say what is broken and what is settling."""
        old = {key for key in self.unexplained() if now - self.since[key] >= window_s}
        broken = [*self.strict.values(), *(self.open[key] for key in sorted(old))]
        settling = [
            seen if seen.waits_for else replace(seen, waits_for="a second look: it may just have changed")
            for key, seen in self.open.items()
            if key not in old
        ]
        bad = {each.invariant for each in broken}
        return Report({name: name not in bad for name in names}, broken, settling)


def judge(
    survey: Callable[[], Iterable[tuple[Invariant, Finding]]],
    invariants: Sequence[Invariant],
    patience: Patience | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Report:
    """Survey until nothing is in doubt, or until what is in doubt has been so for too long; report."""
    its = patience or Patience()
    doubts, began = _Doubts(), clock()
    while True:
        doubts.note(survey(), clock())
        left_s = began + (its.settle_s if doubts.open else 0.0) - clock()
        if doubts.unexplained():
            left_s = max(left_s, began + its.window_s - clock())
        if left_s <= 0:
            return doubts.report([each.name for each in invariants], clock(), its.window_s)
        sleep(min(_PAUSE_S, left_s))
