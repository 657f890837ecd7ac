"""For tests of services that speak these contracts: an in-memory bus, and given / when / expect.

    Given(handlers, Shelves()).when(ReserveStock(…)).expect(StockReserved(order_id=…))

    bus = InMemoryBus()
    bus.join(orders_handlers, book)
    bus.join(inventory_handlers, shelves)
    bus.send(ReserveStock(…))
    bus.run()

No server and no clock: messages wait until they are delivered, in any order and as often as the test likes,
and timers fire when the test lets time pass. As on the real bus, a second delivery has no effect, a timer stays
with its service, and a service may send only what its contracts allow.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar
from uuid import UUID

from uuid_utils.compat import uuid7

from shared_events.contract import Envelope, Fact, Message, Timer, contract_of, read, seal
from shared_events.handlers import Cancel, Handlers, Later, Output

M = TypeVar("M", bound=Message)
_JOURNEY = UUID(int=0)


class Unexpected(AssertionError):
    """A service did what its contracts forbid, or said what the test did not expect."""


class Given:
    """One service's handlers on an in-memory unit of work."""

    def __init__(self, handlers: Handlers, work: Any) -> None:
        self.work = work
        self.said: tuple[Output, ...] = ()
        self._handlers = handlers

    def when(self, *messages: Message) -> "Given":
        """Let the service receive these, one after the other."""
        self.said = tuple(output for message in messages for output in self._receive(message))
        return self

    def expect(self, *outputs: Output) -> "Given":
        """Fail unless exactly these were said in answer; timers count only if one is expected."""
        timed = any(isinstance(each, Later | Cancel) for each in outputs)
        said = tuple(each for each in self.said if timed or isinstance(each, Message))
        if said != outputs:
            raise Unexpected(f"expected {outputs}, it said {said}")
        return self

    def _receive(self, message: Message) -> tuple[Output, ...]:
        handler = self._handlers.get(contract_of(message).type)
        if handler is None:
            raise Unexpected(f"{self._handlers.service} has no handler for {type(message).__name__}")
        return handler(_over_the_wire(message), self.work)


@dataclass(frozen=True, slots=True)
class OnItsWay:
    """A message on its way to one service."""

    id: UUID
    message: Message
    to: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A timer of one service."""

    service: str
    key: str | None
    due_at: datetime
    message: Message


@dataclass
class InMemoryBus:
    """Services on one bus; see the module's text."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    on_its_way: list[OnItsWay] = field(default_factory=list)
    timers: list[Waiting] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    unroutable: list[Message] = field(default_factory=list)
    _tables: list[tuple[Handlers, Any]] = field(default_factory=list)
    _handled: set[tuple[UUID, str]] = field(default_factory=set)

    def join(self, handlers: Handlers, work: Any) -> None:
        """Put a service on the bus; if its `work` has an attribute `now`, that is the bus's time."""
        self._tables.append((handlers, work))

    def send(self, *outputs: Output) -> None:
        """Send these as the services whose contracts they are."""
        for output in outputs:
            if isinstance(output, Cancel):
                raise Unexpected("only a service cancels its timers")
            message = output.message if isinstance(output, Later) else output
            self.take(contract_of(message).sent_by, [output])

    def said(self, kind: type[M]) -> list[M]:
        """Return every message of a class that was ever sent."""
        return [message for message in self.sent if isinstance(message, kind)]

    def deliver(self, what: int | type[Message] = 0, *, times: int = 1) -> Message:
        """Deliver what is on its way at a place in the line, or the first message of a class."""
        if isinstance(what, type):
            places = [i for i, each in enumerate(self.on_its_way) if isinstance(each.message, what)]
            if not places:
                raise Unexpected(f"no {what.__name__} is on its way")
            what = places[0]
        delivery = self.on_its_way.pop(what)
        for _ in range(times):
            self._deliver(delivery)
        return delivery.message

    def drop(self, kind: type[Message]) -> None:
        """Lose every message of a class that is on its way, as a participant that is away would."""
        self.on_its_way = [each for each in self.on_its_way if not isinstance(each.message, kind)]

    def run(self, random: Random | None = None, *, at_most: int = 10_000) -> None:
        """Deliver until nothing is on its way; with `random`, in any order and now and then twice."""
        for _ in range(at_most):
            if not self.on_its_way:
                return
            place = random.randrange(len(self.on_its_way)) if random else 0
            self.deliver(place, times=2 if random and random.random() < 0.2 else 1)
        raise Unexpected(f"the services still talk after {at_most} messages")

    def advance(self, seconds: float) -> None:
        """Let time pass: timers that are due then are on their way."""
        self.now += timedelta(seconds=seconds)
        due = sorted((each for each in self.timers if each.due_at <= self.now), key=lambda each: each.due_at)
        self.timers = [each for each in self.timers if each.due_at > self.now]
        for each in due:
            self._post(each.service, each.message)

    def take(self, service: str, outputs: Iterable[Output]) -> None:
        """Take what a service says, be it a handler or an API."""
        for output in outputs:
            match output:
                case Cancel(key):
                    self.timers = [each for each in self.timers if (each.service, each.key) != (service, key)]
                case Later(message, after_s, key):
                    due_at = self.now + timedelta(seconds=after_s)
                    self.timers.append(Waiting(service, key, due_at, message))
                case _:
                    self._post(service, output)

    def _deliver(self, delivery: OnItsWay) -> None:
        if (delivery.id, delivery.to) in self._handled:
            return
        self._handled.add((delivery.id, delivery.to))
        for handlers, work in self._tables:
            handler = handlers.get(contract_of(delivery.message).type)
            if handlers.service == delivery.to and handler:
                if hasattr(work, "now"):
                    work.now = self.now
                self.take(delivery.to, handler(delivery.message, work))

    def _post(self, service: str, message: Message) -> None:
        its = contract_of(message)
        if its.sent_by != service:
            raise Unexpected(f"{service} may not send {its.type}: that is for {its.sent_by}")
        self.sent.append(message)
        hearers = {handlers.service for handlers, _ in self._tables if its.type in handlers}
        if its.kind is Timer:
            hearers &= {service}
        if not hearers and its.kind is not Fact:
            self.unroutable.append(message)
        received = _over_the_wire(message)
        message_id = uuid7()
        self.on_its_way += [OnItsWay(message_id, received, hearer) for hearer in sorted(hearers)]


def _over_the_wire(message: Message) -> Message:
    """Return the message as its receiver reads it, so that a test also finds what cannot be written as JSON."""
    sealed: Envelope = seal(message, correlation_id=_JOURNEY)
    return read(sealed).message
