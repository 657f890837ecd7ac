"""The rounds: our whole saga, our intake alone, and every contender, in turn and several times."""

from typing import Any

from bench import figures
from bench.contenders import Contender
from bench.course import Course, saga_figures
from bench.guests import Guest, hosted
from bench.place import CORES, OURS
from bench.sizes import Size
from bench.turns import Turn, closed, opened
from orderflow_cli.errors import CommandError

WORKING = ("workers", "executor", "relays")
"""The kinds without which orders are accepted, and stay where they are."""
_FEWEST = 100


class Rounds:
    """The turns of all rounds, by what they show and whose they are."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._turns: dict[tuple[str, str], list[Turn]] = {}
        self._sizes: dict[str, int] = {}
        self._wrong: dict[str, list[str]] = {}
        self._failed: dict[str, str] = {}
        self._guests: list[Contender] = []
        if "contenders" in course.sections:
            from bench.contenders.line_up import everybody

            self._guests = list(everybody())

    def run(self) -> None:
        """Run them, and write what they came to into the document."""
        its = self._course
        for number in range(its.size.rounds):
            its.say(f"round {number + 1} of {its.size.rounds}")
            self._own_turns()
            if self._guests:
                its.place.stop(*OURS)
                for guest in self._guests:
                    self._try_guest(guest, first=number == 0)
                its.place.start(*OURS)
        self._write()

    def _own_turns(self) -> None:
        its = self._course
        its.warm()
        self._keep("saga", "orderflow", its.saga())
        if "intake" in its.sections:
            its.place.stop(*its.place.names(*WORKING))
            with its.place.doors(CORES):
                # As many as in the turn: each process learns the prices by its first orders.
                closed(its.ours, its.run_name("warm"), its.size.orders, drained=False)
                turn = closed(its.ours, its.run_name("intake"), its.size.orders, drained=False)
            self._keep("intake", "orderflow", turn)
            its.place.start(*its.place.names(*WORKING))
            its.drain()
        its.check()

    def _try_guest(self, guest: Contender, *, first: bool) -> None:
        """Have a contender's turns; if it fails, that is its result, and not the end of ours."""
        try:
            self._guest_turns(guest, first=first)
        except CommandError as error:
            self._course.say(f"{guest.name} failed: {error.format_message()}")
            self._failed[guest.name] = error.format_message()

    def _guest_turns(self, contender: Contender, *, first: bool) -> None:
        its = self._course
        its.say(f"now {contender.name}")
        with hosted(its.place, contender) as guest:
            if first and not contender.intake_only:
                self._low(guest)
            warm = closed(guest, its.run_name("warm"), its.size.warm)
            rate = warm.accepted_per_s if contender.intake_only else warm.finished_per_s
            orders = self._sizes.setdefault(guest.name, turn_orders(its.size, contender, rate))
            self._keep("saga", guest.name, closed(guest, its.run_name("saga"), orders))
            self._wrong[guest.name] = contender.wrongs(guest.servers)

    def _low(self, guest: Guest) -> None:
        its = self._course
        opened(guest, its.run_name("low-warm"), its.size.low_rate, 1)
        self._keep("low", guest.name, opened(guest, its.run_name("low"), its.size.low_rate, its.size.low_s))

    def _keep(self, section: str, system: str, turn: Turn) -> None:
        self._turns.setdefault((section, system), []).append(turn)
        self._course.note(section, turn, system)

    def _write(self) -> None:
        document = self._course.document
        document |= saga_figures(self._turns["saga", "orderflow"])
        ratios = document.setdefault("ratios", {})
        mine = document["orders_per_s"]
        if ("intake", "orderflow") in self._turns:
            document["intake_per_s"] = intake_rate(self._turns["intake", "orderflow"])
        others = {guest.name: self._of(guest) for guest in self._guests}
        if others:
            document["contenders"] = others
            ratios |= _ratios(mine, document.get("intake_per_s"), others)

    def _of(self, guest: Contender) -> dict[str, Any]:
        turns, low = self._turns.get(("saga", guest.name), []), self._turns.get(("low", guest.name), [])
        said = {"does_not_guarantee": guest.guarantees_not}
        if guest.name in self._failed:
            said["failed"] = self._failed[guest.name]
        if not turns:
            return said
        found = saga_figures(turns)
        if guest.intake_only:
            found["orders_per_s"] = intake_rate(turns)
            found["intake_ms"] = figures.shown(turns[-1].intake_ms)
        return {
            **found,
            "confirmed_ms": {"low": figures.shown(low[0].confirmed_ms)} if low else {},
            "orders": turns[0].orders,
            "unfinished": max(turn.unfinished for turn in [*turns, *low]),
            "wrong": self._wrong[guest.name][:3],
            **said,
        }


def turn_orders(size: Size, contender: Contender, rate: float) -> int:
    """Return how many orders a contender's turn has, given its rate: so that it lasts neither long nor a moment."""
    if contender.intake_only:
        return max(size.orders, int(rate * size.turn_s / 5))
    return min(size.orders, max(_FEWEST, int(rate * size.turn_s)))


def intake_rate(turns: list[Turn]) -> float:
    """Return the median of orders accepted a second."""
    return round(figures.median([turn.accepted_per_s for turn in turns]), 1)


def _ratios(mine: float, intake: float | None, others: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    rates = {name: each.get("orders_per_s") for name, each in others.items()}
    names = {"saga_vs_naive": "naive-celery", "saga_vs_faststream": "faststream", "saga_vs_dbos": "dbos",
             "saga_vs_dbos_steps": "dbos-steps"}  # fmt: skip
    found = {ratio: figures.ratio(mine, rates.get(name)) for ratio, name in names.items()}
    if intake:
        found["intake_vs_bare"] = figures.ratio(intake, rates.get("bare-flask"))
    return found
