"""A payment and a provider in one small world in which everything that may happen can be tried."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from payments_svc.domain import Call, CallWanted, Payment, Said, Silence, tombstone
from payments_svc.provider import Approved, Outcome, Refused
from shared_events.contract import Message
from shared_events.contracts.values import Money

ORDER, CUSTOMER = UUID(int=1), UUID(int=2)
AMOUNT = Money(1250, "EUR")
START = datetime(2026, 1, 1, tzinfo=UTC)
LEASE_S = 10.0


@dataclass
class ProviderModel:
    """Keeps the contract of `ProviderContract`, in ten lines."""

    answers: dict[str, Outcome] = field(default_factory=dict)
    held: int = 0
    captured: int = 0
    refunded: int = 0
    charges: int = 0
    says_no_to: frozenset[str] = frozenset()

    def run(self, call: Call) -> Outcome:
        if call.key not in self.answers:
            self.answers[call.key] = self._first(call)
        return self.answers[call.key]

    def _first(self, call: Call) -> Outcome:
        first_round = call.key.endswith(call.operation)
        if call.operation in self.says_no_to and first_round:
            return Refused("no")
        match call.operation:
            case "authorize":
                self.held, self.charges = self.held + call.amount.amount, self.charges + 1
            case "capture":
                if not self.held:
                    return Refused("not_held")
                self.held, self.captured = 0, self.held
            case "void":
                if self.captured:
                    return Refused("captured")
                self.held = 0
            case "refund":
                if self.captured <= self.refunded:
                    return Refused("nothing_to_refund")
                self.refunded = self.captured
        return Approved("ref")

    @property
    def kept(self) -> int:
        return self.captured - self.refunded


@dataclass
class World:
    """The state; `steps()` names what may happen next, `after(step)` is the world in which it did."""

    budget: dict[str, int]
    provider: ProviderModel
    payment: Payment | None = None
    wanted: set[str] = field(default_factory=set)
    running: list[Call] = field(default_factory=list)
    answered: list[tuple[Call, Outcome]] = field(default_factory=list)
    on_their_way: list[Call] = field(default_factory=list)
    said: list[Message] = field(default_factory=list)
    hours: int = 0

    def steps(self) -> Iterator[tuple[str, int | str]]:
        for command in ("authorize", "capture", "void", "refund"):
            if self._may(command):
                yield command, 0
        for operation in sorted(self.wanted):
            intent = self.payment.intents[operation]
            if intent.status != "leased":
                yield "claim", operation
            elif self.budget["lapse"]:
                yield "lapse", operation
        for place in range(len(self.running)):
            yield "answer", place
            if self.budget["loss"]:
                yield from (("lose_answer", place), ("lose_request", place), ("not_sent", place))
        for place in range(len(self.answered)):
            yield "take", place
        for place in range(len(self.on_their_way)):
            yield "arrive", place

    def _may(self, command: str) -> bool:
        if not self.budget[command]:
            return False
        if command == "capture":  # Orders asks for it only after PaymentAuthorized
            return any(type(message).__name__ == "PaymentAuthorized" for message in self.said)
        return command != "refund" or (self.payment is not None and self.payment.is_refundable)

    def after(self, step: tuple[str, int | str]) -> "World":
        world = copy.copy(self)
        world.budget, world.provider = dict(self.budget), copy.copy(self.provider)
        world.provider.answers = dict(self.provider.answers)
        world.wanted, world.said = set(self.wanted), list(self.said)
        world.running, world.answered = list(self.running), list(self.answered)
        world.on_their_way = list(self.on_their_way)
        world.payment = self.payment and _copy(self.payment)
        getattr(world, "_" + step[0])(step[1])
        return world

    def _authorize(self, _: int) -> None:
        self.budget["authorize"] -= 1
        if self.payment is None:
            self.payment = Payment(ORDER, customer_id=CUSTOMER, amount=AMOUNT, method="tok_visa")
        self._hear(self.payment.authorize())

    def _capture(self, _: int) -> None:
        self.budget["capture"] -= 1
        self._hear(self.payment.capture())

    def _void(self, _: int) -> None:
        self.budget["void"] -= 1
        if self.payment is None:
            self.payment = tombstone(ORDER, "by_customer")
        self._hear(self.payment.void("by_customer"))

    def _refund(self, _: int) -> None:
        self.budget["refund"] -= 1
        self._hear(self.payment.give_back("broken", "staff"))

    def _claim(self, operation: str) -> None:
        self.wanted.discard(operation)
        call, said = self.payment.claim(self.payment.intents[operation], self._now, LEASE_S)
        self._hear(said)
        if call:
            self.running.append(call)

    def _lapse(self, operation: str) -> None:
        """The process that has the lease is late or dead; another takes over."""
        self.budget["lapse"] -= 1
        self.hours += 1
        self._claim(operation)

    def _answer(self, place: int) -> None:
        call = self.running.pop(place)
        self.answered.append((call, self.provider.run(call)))

    def _lose_answer(self, place: int) -> None:
        self.budget["loss"] -= 1
        call = self.running.pop(place)
        self.provider.run(call)
        self._result(call, Silence(sent=True))

    def _lose_request(self, place: int) -> None:
        """The time-out is over and the request is still on its way."""
        self.budget["loss"] -= 1
        call = self.running.pop(place)
        self.on_their_way.append(call)
        self._result(call, Silence(sent=True))

    def _not_sent(self, place: int) -> None:
        self.budget["loss"] -= 1
        self._result(self.running.pop(place), Silence(sent=False))

    def _arrive(self, place: int) -> None:
        self.provider.run(self.on_their_way.pop(place))

    def _take(self, place: int) -> None:
        self._result(*self.answered.pop(place))

    def _result(self, call: Call, result: Outcome | Silence) -> None:
        self._hear(self.payment.take(self.payment.intents[call.operation], call.lease, result))

    def _hear(self, said: list[Said]) -> None:
        for each in said:
            if isinstance(each, CallWanted):
                intent = self.payment.intent(each.intent_id)
                assert intent is not None
                self.wanted.add(intent.operation)
            else:
                self.said.append(each)
        leased = [
            i.operation
            for i in (self.payment.intents if self.payment else {}).values()
            if i.status == "leased"
        ]
        self.wanted.update(leased)  # the broker still has the message of whoever holds the lease

    @property
    def _now(self) -> datetime:
        return START + timedelta(hours=self.hours)

    @property
    def is_quiet(self) -> bool:
        return not (self.wanted or self.running or self.answered or self.on_their_way)

    def heard(self, name: str) -> bool:
        return any(type(message).__name__ == name for message in self.said)

    def key(self) -> tuple[object, ...]:
        """What makes two worlds the same; ids and tokens are left out."""
        payment = self.payment
        intents = payment.intents if payment else {}
        return (
            tuple(self.budget.values()),
            payment and (payment.status, payment.void_requested, payment.refund and payment.refund.status),
            tuple((i.operation, i.status, i.attempts, i.refusals, i.doubted) for i in intents.values()),
            tuple(sorted(self.wanted)),
            tuple((c.operation, c.key, c.lease == intents[c.operation].lease_token) for c in self.running),
            tuple(
                (c.key, type(o).__name__, c.lease == intents[c.operation].lease_token)
                for c, o in self.answered
            ),
            tuple(c.key for c in self.on_their_way),
            (self.provider.held, self.provider.captured, self.provider.refunded, self.provider.charges),
            tuple(self.provider.answers),
            tuple(sorted({(type(m).__name__, getattr(m, "code", "")) for m in self.said})),
        )


def _copy(payment: Payment) -> Payment:
    intents = {name: copy.copy(intent) for name, intent in payment.intents.items()}
    return replace(payment, intents=intents, refund=copy.copy(payment.refund))
