"""The searches: everything that can happen, and that everything comes to rest.

`everything` leaves out the inbox: whatever was ever said, and every timer that was ever set, may take effect
again at any moment, any number of times, or never. Then what can happen only grows with the messages about, so
of two states in which everybody holds the same, the one with more messages stands for both; and a step that
only says something may be taken at once.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from model import Holding, Model, Move
from story import Happened, Story, shortened

State = tuple[Holding, int]
Promise = Callable[..., str]


@dataclass
class Report:
    """What a search found. `states` have a holding and messages each; `broken` is the first broken promise."""

    states: int = 0
    holdings: int = 0
    transitions: int = 0
    seconds: float = 0.0
    broken: Story | None = None


@dataclass
class Everything:
    """Everything that can happen to the model, breadth first."""

    model: Model
    promises: tuple[Promise, ...]
    came_from: dict[State, State | None] = field(default_factory=dict)
    largest: dict[Holding, list[int]] = field(default_factory=dict)

    def run(self) -> Report:
        """Search until the frontier is empty, or a promise is broken."""
        began, report = time.perf_counter(), Report()
        report.broken = self._search(report)
        report.states = sum(len(networks) for networks in self.largest.values())
        report.holdings, report.seconds = len(self.largest), time.perf_counter() - began
        return report

    def _search(self, report: Report) -> Story | None:
        holding, about = self.model.start()
        first = (holding, self._all_said(holding, about))
        frontier = deque([first])
        self.came_from[first] = None
        self.largest[holding] = [first[1]]
        if broken := self._broken(holding):
            return Story.of(self.model, broken, [])
        while frontier:
            state = frontier.popleft()
            if state[1] not in self.largest[state[0]]:
                continue  # one with more messages took its place
            for move, (holding, about) in self._after(state):
                report.transitions += 1
                if move.turn.wrong:
                    return self._story(state, move.turn.wrong, move)
                known = self.largest.get(holding)
                if known is None:
                    if broken := self._broken(holding):
                        return self._story(state, broken, move)
                    known = self.largest[holding] = []
                elif any(not about & ~other for other in known):
                    continue
                network = self._all_said(holding, about)
                known[:] = [other for other in known if other & ~network]
                known.append(network)
                self.came_from[holding, network] = state
                frontier.append((holding, network))
        return None

    def _after(self, state: State) -> Iterator[tuple[Move, State]]:
        (holding, network), model = state, self.model
        for place, number in enumerate(holding):
            before, rest = holding[:place], holding[place + 1 :]
            for move in model.moves(place, number, network):
                needs = move.needs
                if needs & network == needs and (move.held != number or move.turn.wrong):
                    yield move, ((*before, move.held, *rest), network | move.says | move.sets)

    def _all_said(self, holding: Holding, network: int) -> int:
        """Take every step that only says something."""
        for happened in self._echoes(holding, network):
            network |= happened.move.says
        return network

    def _echoes(self, holding: Holding, network: int) -> Iterator[Happened]:
        grew = True
        while grew:
            grew = False
            for place, number in enumerate(holding):
                for move in self.model.moves(place, number, network):
                    is_echo = move.held == number and move.needs & network == move.needs
                    if is_echo and move.says & ~network:
                        yield Happened(place, move)
                        network |= move.says
                        grew = True

    def _broken(self, holding: Holding) -> str:
        held = self.model.held(holding)
        return next((broken for promise in self.promises if (broken := promise(*held))), "")

    def way_to(self, goal: Callable[[Holding], bool]) -> list[Happened]:
        """Return a short way to a state with such a holding, that was met in this search."""
        state = next(state for state in self.came_from if goal(state[0]))
        return shortened(self.model, self._path(state), lambda holding, _: goal(holding))

    def _story(self, state: State, broken: str, last: Move) -> Story:
        place = next(
            place
            for place, number in enumerate(state[0])
            if last in self.model.moves(place, number, state[1])
        )
        happened = [*self._path(state), Happened(place, last)]

        def breaks(holding: Holding, move: Move) -> bool:
            return broken in {move.turn.wrong, self._broken(holding)}

        return Story.of(self.model, broken, shortened(self.model, happened, breaks))

    def _path(self, state: State) -> list[Happened]:
        """Return how it came to a state."""
        path = [state]
        while (before := self.came_from[path[-1]]) is not None:
            path.append(before)
        path.reverse()
        happened = list(self._echoes(*self.model.start()))
        for before, after in pairwise(path):
            happened += self._way(before, after)
        return happened

    def _way(self, before: State, after: State) -> list[Happened]:
        for move, (holding, network) in self._after(before):
            if holding == after[0] and self._all_said(holding, network) == after[1]:
                place = next(at for at, number in enumerate(before[0]) if number != holding[at])
                return [Happened(place, move), *self._echoes(holding, network)]
        raise LookupError("no step leads there")
