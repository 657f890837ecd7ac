"""One step of one service: its real handlers, on the in-memory bus, from what it held to what it holds then.

A step depends on nothing but what the service holds, the message and the moment. So each is taken once and
remembered (`model.py`), and the search over whole systems is one over numbers.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import msgspec

import customers_svc.handlers
import inventory_svc.handlers
import orders_svc.handlers
import payments_svc.handlers
from orders_svc.saga import Deadlines
from shared_events.contract import Message, Timer
from shared_events.testing import InMemoryBus, OnItsWay, Unexpected, Waiting

DUE = datetime(2026, 1, 1, tzinfo=UTC)
"""When every timer is due, and now; equal states must be equal whenever they came about."""
MUCH_LATER = DUE + timedelta(days=30)
ORDER, CUSTOMER, PAYMENT = UUID(int=1), UUID(int=2), UUID(int=3)
DEADLINES = Deadlines()
LATE = ", long after it was due"
OFTEN = 3
"""Attempts are counted 1, 2, 3 or more: see docs/model.md."""

_MESSAGE = UUID(int=9)
_SAME = {"reason": "", "code": "", "detail": "", "shortages": (), "refunded": False, "due_at": DUE}
"""What only explains, or only tells the time, is the same in all messages."""


@dataclass(frozen=True, slots=True)
class Post:
    """A message for one service."""

    to: str
    message: Message


@dataclass(frozen=True, slots=True)
class Alarm:
    """A timer that waits in its service's outbox."""

    key: str
    message: Message


@dataclass(frozen=True, slots=True)
class Held:
    """What a service holds between two steps. Two with an equal key and equal timers behave alike."""

    key: Hashable
    data: Any = field(compare=False)
    alarms: frozenset[Alarm] = frozenset()


@dataclass(frozen=True, slots=True)
class Turn:
    """A step that a service can take: what it holds and says then. `wrong` names a broken promise.

    `comes_by_itself`: it happens sooner or later without anybody's wish and without a fault.
    """

    what: str
    held: Held
    says: frozenset[Post] = frozenset()
    wrong: str = ""
    comes_by_itself: bool = True


class Service(Protocol):
    """One service of the model."""

    name: str

    def start(self) -> Turn:
        """Return what it holds and says at first."""

    def hear(self, held: Held, message: Message) -> Iterable[Turn]:
        """Return what a message may lead to."""

    def act(self, held: Held) -> Iterable[Turn]:
        """Return what may happen to it without a message."""

    def show(self, held: Held) -> str:
        """Say in a few words what it holds."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step left on the bus."""

    says: frozenset[Post]
    alarms: frozenset[Alarm]
    facts: tuple[Message, ...]


class Stage:
    """Every service's handlers, on an in-memory bus for one step at a time."""

    def __init__(self) -> None:
        self._tables = (
            orders_svc.handlers.handlers(DEADLINES),
            inventory_svc.handlers.handlers,
            customers_svc.handlers.handlers,
            payments_svc.handlers.handlers,
            payments_svc.handlers.calls,
        )

    def deliver(self, post: Post, work: Any, alarms: Iterable[Alarm], now: datetime = DUE) -> Step:
        """Let a service handle a message; `work` is what its handlers see. A timer that waits comes only once."""
        alarms = [each for each in alarms if each.message != post.message]

        def arrive(bus: InMemoryBus) -> None:
            bus.on_its_way.append(OnItsWay(_MESSAGE, post.message, post.to))
            bus.deliver()

        return self.play(post.to, work, alarms, arrive, now)

    def play(
        self,
        service: str,
        work: Any,
        alarms: Iterable[Alarm],
        do: Callable[[InMemoryBus], None],
        now: datetime = DUE,
    ) -> Step:
        """Let a service do something on a bus that all have joined."""
        bus = InMemoryBus(now, timers=[Waiting(service, each.key, now, each.message) for each in alarms])
        for handlers in self._tables:
            bus.join(handlers, work if handlers.service == service else None)
        do(bus)
        if bus.unroutable:
            raise Unexpected(f"nobody handles {bus.unroutable}")
        return Step(
            frozenset(Post(each.to, each.message) for each in bus.on_its_way),
            frozenset(Alarm(each.key or "", each.message) for each in bus.timers),
            tuple(bus.sent),
        )


def moments(message: Message) -> tuple[tuple[datetime, str], ...]:
    """Return when a message may be handled: a timer also long after it was due."""
    on_time = (DUE, "")
    return (on_time, (MUCH_LATER, LATE)) if isinstance(message, Timer) else (on_time,)


def plain(message: Message, names: dict[UUID, UUID]) -> Message:
    """Return the message with what cannot matter made the same, and its ids replaced by lasting ones."""
    changes: dict[str, Any] = {}
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if name in _SAME:
            changes[name] = _SAME[name]
        elif name == "attempt":
            changes[name] = min(value, OFTEN)
        elif isinstance(value, UUID) and value in names:
            changes[name] = names[value]
    return msgspec.structs.replace(message, **changes)


def made_plain(step: Step, names: dict[UUID, UUID] | None = None) -> Step:
    """Return the step with plain messages; `names` says which id each of its ids becomes."""
    names = names or {}
    return Step(
        frozenset(Post(each.to, plain(each.message, names)) for each in step.says),
        frozenset(Alarm(_renamed(each.key, names), plain(each.message, names)) for each in step.alarms),
        step.facts,
    )


def _renamed(key: str, names: dict[UUID, UUID]) -> str:
    for old, new in names.items():
        key = key.replace(str(old), str(new))
    return key
