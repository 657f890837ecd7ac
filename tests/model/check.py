"""The whole check: everything that can happen, and that it always comes to rest."""

from collections.abc import Iterable
from dataclasses import dataclass

from model import Model
from money_part import Payments
from one_step import Stage
from orders_part import WISHES, Orders
from promises import always, somebody_wakes
from rest import ToRest, with_all_lost, with_late_commands
from search import Everything, Report, State
from stock_part import Inventory
from story import Story


@dataclass
class Check:
    """What was found, one report for each search. If the first breaks a promise, it is the only one."""

    reports: dict[str, Report]
    reasons: frozenset[str]
    steps: int

    @property
    def broken(self) -> Story | None:
        """Return the first broken promise's story, if one is broken."""
        return next((each.broken for each in self.reports.values() if each.broken), None)

    @property
    def states(self) -> int:
        """Return how many states were looked at."""
        return sum(each.states for each in self.reports.values())


def check(wishes: Iterable[str] = WISHES, *, faults: bool = True) -> Check:
    """Search until nothing is left, or until a promise is broken.

    `wishes`: what people and the sweeper may do to the order. `faults`: calls to the provider may go wrong.
    """
    stage = Stage()
    orders = Orders(stage, wishes)
    model = Model([orders, Inventory(stage), Payments(stage, faults=faults)])
    everything = Everything(model, (always, somebody_wakes))
    reports = {"everything that can happen": everything.run()}
    if not reports["everything that can happen"].broken:
        holdings = list(everything.largest)
        reports["at rest, though all on its way was lost"] = _rest(
            everything, with_all_lost(model, holdings), "all messages that are on their way are lost"
        )
        reports["at rest, though commands came late"] = _rest(
            everything,
            with_late_commands(model, holdings),
            "the others forgot the order; its commands come late",
        )
    return Check(reports, frozenset(orders.reasons), model.steps)


def _rest(everything: Everything, starts: Iterable[State], lost: str) -> Report:
    """Walk to rest; a story begins with how the order came to where the walk starts."""
    walks = ToRest(everything.model)
    report = walks.run(starts)
    if report.broken:
        way = everything.way_to(lambda holding: holding[0] == walks.broken_from[0])
        report.broken = report.broken.preceded_by(everything.model, way, lost)
    return report
