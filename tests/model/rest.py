"""Everything comes to rest: from every state, even if all that is on its way is lost there.

The walk to rest is the plainest: what is said is delivered, in turn; the provider decides and its answer comes
back; and when nothing else is left, a timer fires. It must end, whatever the provider decides, and then all must
be right. So a broker that lost its disk, or a dead letter that is discarded, leaves no order behind.
"""

import time
from collections.abc import Iterable, Iterator

from model import Holding, Model
from one_step import Held
from promises import at_rest
from search import Report, State
from story import Happened, Story

from orders_svc.domain import CANCELLED, CAPTURE, COMMIT, PAYMENT, STOCK
from shared_events.contract import Message
from shared_events.contracts.inventory import CommitStock, ReserveStock
from shared_events.contracts.payments import AuthorizePayment, CapturePayment

_COMMANDS: dict[str, type[Message]] = {
    STOCK: ReserveStock,
    PAYMENT: AuthorizePayment,
    COMMIT: CommitStock,
    CAPTURE: CapturePayment,
}
_SOONEST = ("payments", "orders", "inventory")
"""Whose timers are short, and fire first."""


def with_all_lost(model: Model, holdings: Iterable[Holding]) -> Iterator[State]:
    """Return each holding with no message on its way; and besides without the timers of all but Orders."""
    for holding in holdings:
        yield holding, 0
        others = model.held(holding)[1:]
        bare = (model.number(place, Held(its.key, its.data)) for place, its in enumerate(others, 1))
        yield (holding[0], *bare), 0


def with_late_commands(model: Model, holdings: Iterable[Holding]) -> Iterator[State]:
    """Return each way in which an order is cancelled, its commands late, and others that know nothing of it.

    As if their tombstones had been lost: what they do then must be taken back, because Orders hears of it.
    """
    fresh = model.start()[0][1:]
    for orders in sorted({holding[0] for holding in holdings}):
        order = model.known[0][orders].held.data.order
        if order.status == CANCELLED:
            commands = [_COMMANDS[step] for step in order.saga.steps]
            yield (orders, *fresh), model.bits(*commands)


class ToRest:
    """The walks. `report.states` are all states on any of them."""

    def __init__(self, model: Model) -> None:
        self.report = Report()
        self.broken_from: Holding = ()
        self._model = model
        names = [service.name for service in model.services]
        self._firing = [names.index(name) for name in _SOONEST]
        self._ends: set[State] = set()

    def run(self, starts: Iterable[State]) -> Report:
        """Walk from every start until all is at rest. A state that comes again on its own way never rests."""
        began = time.perf_counter()
        for start in starts:
            self.report.broken = self._walk(start)
            if self.report.broken:
                self.broken_from = start[0]
                break
        self.report.states = len(self._ends)
        self.report.seconds = time.perf_counter() - began
        return self.report

    def _walk(self, start: State) -> Story | None:
        """Go down every way from here, once."""
        if start in self._ends:
            return None
        on_the_way, ways = {start: None}, [self._next(start)]
        happened: list[Happened] = []
        while ways:
            step = next(ways[-1], None)
            if step is None:
                ways.pop()
                state, _ = on_the_way.popitem()
                self._ends.add(state)
                if happened:
                    happened.pop()
                continue
            did, state = step
            if did is None:
                if broken := at_rest(*self._model.held(state[0])):
                    return Story.of(self._model, broken, happened, start[0])
                continue
            self.report.transitions += 1
            if state in on_the_way:
                return Story.of(self._model, "it never comes to rest", [*happened, did], start[0])
            if state not in self._ends:
                happened.append(did)
                on_the_way[state] = None
                ways.append(self._next(state))
        return None

    def _next(self, state: State) -> Iterator[tuple[Happened | None, State]]:
        """Return what comes next: one step, or one for each decision of the provider. None: all is at rest."""
        holding, network = state
        if network:
            place, bit = self._first(network)
            return self._take(state, place, bit, network & ~bit)
        for place, number in enumerate(holding):
            acts = [move for move in self._model.moves(place, number, 0) if not move.needs]
            if any(move.turn.comes_by_itself for move in acts):
                return self._take(state, place, 0, network)
        for place in self._firing:
            alarms = self._model.known[place][holding[place]].alarms
            if alarms:
                return self._take(state, place, alarms & -alarms, network)
        return iter([(None, state)])

    def _take(self, state: State, place: int, bit: int, left: int) -> Iterator[tuple[Happened, State]]:
        holding = state[0]
        for move in self._model.moves(place, holding[place], bit):
            if move.needs == bit and move.turn.comes_by_itself:
                after = (*holding[:place], move.held, *holding[place + 1 :])
                yield Happened(place, move), (after, left | move.says)

    def _first(self, network: int) -> tuple[int, int]:
        bit = network & -network
        return next(place for place, mine in enumerate(self._model.addressed) if mine & bit), bit
