"""The whole system in small numbers: what each service holds, the steps it can take, the messages about.

Every step is taken by the real code, once for each (what a service holds, message, moment), and remembered.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from one_step import Alarm, Held, Post, Service, Turn

from shared_events.contract import Message

Holding = tuple[int, ...]
"""What each service holds: a number each."""


class Move(NamedTuple):
    """One service's step. `needs`, `says` and `sets` have a bit for each message.

    It takes the message `needs` (0: none), leads to `held`, says `says` and sets the timers `sets`.
    """

    needs: int
    held: int
    says: int
    sets: int
    turn: Turn


@dataclass
class Known:
    """All that is known about one thing that a service may hold. `alarms`: the bits of its timers."""

    held: Held
    alarms: int
    heard: int = 0
    has_acted: bool = False
    moves: list[Move] = field(default_factory=list)


class Model:
    """The services, with every step that was ever asked for."""

    def __init__(self, services: Sequence[Service]) -> None:
        self.services = services
        self.steps = 0
        self.known: list[list[Known]] = [[] for _ in services]
        self.addressed = [0 for _ in services]
        self._bits: dict[Post, int] = {}
        self._numbers: list[dict[Held, int]] = [{} for _ in services]
        self._places = {service.name: place for place, service in enumerate(services)}

    def start(self) -> tuple[Holding, int]:
        """Return what everybody holds when the order is accepted, and what was said and set then."""
        turns = [service.start() for service in self.services]
        moves = [self._move(place, 0, turn) for place, turn in enumerate(turns)]
        about = 0
        for move in moves:
            about |= move.says | move.sets
        return tuple(move.held for move in moves), about

    def moves(self, place: int, number: int, network: int) -> list[Move]:
        """Return the steps that a service can take, for these messages at least."""
        known = self.known[place][number]
        if not known.has_acted:
            known.has_acted = True
            known.moves += [self._move(place, 0, turn) for turn in self.services[place].act(known.held)]
        unheard = network & self.addressed[place] & ~known.heard
        if unheard:
            known.heard |= unheard
            for post, bit in list(self._bits.items()):
                if bit & unheard:
                    turns = self.services[place].hear(known.held, post.message)
                    known.moves += [self._move(place, bit, turn) for turn in turns]
        return known.moves

    def number(self, place: int, held: Held) -> int:
        """Return the number of something that a service may hold."""
        numbers = self._numbers[place]
        if held not in numbers:
            numbers[held] = len(numbers)
            self.known[place].append(Known(held, self._alarms(place, held.alarms)))
        return numbers[held]

    def bits(self, *messages: type[Message]) -> int:
        """Return the bits of every message of these classes that was ever said."""
        return sum(bit for post, bit in self._bits.items() if isinstance(post.message, messages))

    def held(self, holding: Holding) -> tuple[Held, ...]:
        """Return what these numbers stand for."""
        return tuple(known[number].held for known, number in zip(self.known, holding, strict=True))

    def show(self, holding: Holding) -> list[str]:
        """Return in words what each service holds."""
        pairs = zip(self.services, self.held(holding), strict=True)
        return [f"{service.name:<9} {service.show(held)}" for service, held in pairs]

    def posts(self, network: int) -> list[Post]:
        """Return the messages that these bits stand for."""
        return [post for post, bit in self._bits.items() if network & bit]

    def _move(self, place: int, needs: int, turn: Turn) -> Move:
        self.steps += 1
        number = self.number(place, turn.held)
        return Move(needs, number, self._set_of(turn.says), self.known[place][number].alarms, turn)

    def _alarms(self, place: int, alarms: Iterable[Alarm]) -> int:
        name = self.services[place].name
        return self._set_of(Post(name, each.message) for each in alarms)

    def _set_of(self, posts: Iterable[Post]) -> int:
        bits = 0
        for post in sorted(posts, key=str):
            if post not in self._bits:
                self._bits[post] = 1 << len(self._bits)
                self.addressed[self._places[post.to]] |= self._bits[post]
            bits |= self._bits[post]
        return bits
