"""What the sections of a run share: the stack, the sizes, and the document that they write into."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from bench import figures
from bench.ours import Ours
from bench.place import Place
from bench.report import NOISE_CORES
from bench.sizes import Size
from bench.turns import Turn, await_end, closed, insist
from orderflow_cli.errors import CommandError


@dataclass
class Course:
    """A run of the bench."""

    place: Place
    size: Size
    sections: tuple[str, ...]
    document: dict[str, Any] = field(default_factory=dict)
    rounds: list[dict[str, Any]] = field(default_factory=list)
    _tag: str = field(default_factory=lambda: f"bench-{secrets.token_hex(3)}")
    _turns: int = 0

    def __post_init__(self) -> None:
        self.ours = Ours(self.place)

    def run_name(self, section: str) -> str:
        """Return a name for the next load: no two are the same, in this run or another."""
        self._turns += 1
        return f"{self._tag}-{section}-{self._turns}"

    def say(self, line: str) -> None:
        """Tell how far it is."""
        self.place.say(line)

    def warm(self, orders: int | None = None) -> None:
        """Send some orders that count for nothing: connections, plans and caches are made."""
        insist(closed(self.ours, self.run_name("warm"), orders or self.size.warm))

    def saga(self, section: str = "saga", *, orders: int | None = None, hot: bool = False) -> Turn:
        """Have a closed-loop turn of our own, and insist that nothing is left unfinished."""
        return insist(closed(self.ours, self.run_name(section), orders or self.size.orders, hot=hot))

    def note(self, section: str, turn: Turn, system: str = "orderflow") -> None:
        """Keep a turn for the document's `rounds`, and tell of it."""
        self.rounds.append({"section": section, "system": system, **turn.document()})
        rate = turn.finished_per_s if turn.drained else turn.accepted_per_s
        cost = turn.cpu_ms()["total"]
        others = turn.elsewhere_cores
        noise = f" (others used {others:.1f} cores meanwhile)" if others > NOISE_CORES else ""
        self.say(f"{section}, {system}: {rate:.1f} orders/s, {cost:.2f} ms of CPU an order{noise}")

    def drain(self) -> None:
        """Wait until all that was accepted is finished."""
        stuck = await_end(self.ours)
        if stuck:
            raise CommandError(f"{stuck} orders are unfinished, and nothing moves any more")

    def check(self) -> None:
        """Insist that the outboxes are empty and all invariants hold."""
        self.document["invariants"] = self.ours.check()
        self.document["unfinished"] = 0

    @property
    def steady(self) -> float:
        """Orders a second through the whole saga, as the rounds have measured it."""
        return float(self.document["orders_per_s"])


def saga_figures(turns: list[Turn]) -> dict[str, Any]:
    """Return the medians of some turns."""
    return {
        "orders_per_s": round(figures.median([turn.finished_per_s for turn in turns]), 1),
        "cpu_ms_per_order": figures.medians([turn.cpu_ms() for turn in turns]),
        "apart": figures.medians([turn.apart_ms() for turn in turns]),
    }
