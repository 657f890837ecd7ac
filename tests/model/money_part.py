"""Payments in the model: its handlers, the executors that make calls and may die, and the provider.

The provider keeps its contract (`payments_svc.provider`): a key has one outcome for ever. All else is open: it
says yes or no, the answer or the request is lost on the way, and a request arrives as late as it likes.
"""

from collections.abc import Hashable, Iterable
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from one_step import DUE, LATE, MUCH_LATER, ORDER, PAYMENT, Alarm, Held, Post, Stage, Step, Turn, made_plain
from orders_part import TOTAL

from payments_svc.domain import Call, Intent, Payment, Silence
from payments_svc.handlers import outputs
from payments_svc.provider import Approved, Outcome, Refused
from shared_events.contract import Message
from shared_events.contracts.payments import CallDue

_MOMENTS = ((DUE, 0.0, ""), (MUCH_LATER, 0.0, LATE), (DUE, 1.0, ", and no call may be made"))
"""When a message is handled, how long the breaker lets calls wait then, and both in words."""
LATEST, EARLIER = UUID(int=4), UUID(int=5)
"""The lease that an intent has now, and any that it had before."""


@dataclass(frozen=True, slots=True)
class Provider:
    """The provider's books."""

    answers: frozenset[tuple[str, Outcome]] = frozenset()
    held: int = 0
    captured: int = 0
    refunded: int = 0
    charges: int = 0

    def said(self, key: str) -> Outcome | None:
        """Return the outcome of a key, if it has one."""
        return next((outcome for its, outcome in self.answers if its == key), None)

    def may_answer(self, intent: Intent) -> Iterable[tuple[Outcome, "Provider"]]:
        """Return each outcome that a new key may have, with the books then.

        It says no to an authorisation or a capture as it likes, and to an undo once; else only by its rules.
        """
        done = self._done(intent.operation)
        if done:
            yield Approved("ref"), done._noted(intent, Approved("ref"))
        if not done or not intent.refusals:
            yield Refused("no"), self._noted(intent, Refused("no"))

    def _noted(self, intent: Intent, outcome: Outcome) -> "Provider":
        return replace(self, answers=self.answers | {(intent.provider_key, outcome)})

    def _done(self, operation: str) -> "Provider | None":
        match operation:
            case "authorize":
                return replace(self, held=self.held + TOTAL.amount, charges=self.charges + 1)
            case "capture" if self.held:
                return replace(self, held=0, captured=self.captured + self.held)
            case "void" if not self.captured:
                return replace(self, held=0)
            case "refund" if self.captured > self.refunded:
                return replace(self, refunded=self.captured)
        return None


@dataclass(frozen=True)
class Money:
    """The payment, and the provider's books. A call is being made if its intent is leased."""

    payment: Payment | None = None
    provider: Provider = field(default_factory=Provider)


class Book:
    """What the handlers of Payments see."""

    def __init__(self, payment: Payment | None, now: datetime, wait_s: float) -> None:
        self.payments = {ORDER: payment} if payment else {}
        self.now = now
        self.wait_s = wait_s
        self.call: Call | None = None

    def add(self, payment: Payment) -> Payment:
        """Keep a new payment."""
        self.payments[payment.order_id] = payment
        return payment


class Payments:
    """The part."""

    name = "payments"

    def __init__(self, stage: Stage, *, faults: bool = True) -> None:
        self._stage, self._faults = stage, faults

    def start(self) -> Turn:
        """Know of nothing."""
        return Turn("there is no payment", Held(_key(Money()), Money()))

    def hear(self, held: Held, message: Message) -> Iterable[Turn]:
        """Let the handler run; what an executor's wants is leased to it."""
        for now, wait_s, when in _MOMENTS:
            if when and not self._faults:
                continue
            book = Book(_copy(held.data.payment), now, wait_s)
            step = self._stage.deliver(Post(self.name, message), book, held.alarms, now)
            if book.call and isinstance(message, CallDue):  # the broker has it until the result is taken
                step = replace(step, alarms=step.alarms | {_alarm(message)})
            what = f"{type(message).__name__}{_of(message, held.data.payment)}{when}"
            turn = _turn(what, replace(held.data, payment=book.payments.get(ORDER)), step)
            yield replace(turn, comes_by_itself=not when)

    def act(self, held: Held) -> Iterable[Turn]:
        """Let a request reach the provider, or an executor come back with an answer or without."""
        money: Money = held.data
        for name, intent in sorted(money.payment.intents.items() if money.payment else ()):
            answer = money.provider.said(intent.provider_key)
            if intent.attempts and answer is None:
                yield from self._arrivals(held, intent)
            if intent.lease_token and answer:
                yield self._back(held, name, LATEST, answer, f"the executor brings the answer to {name}")
            if intent.lease_token and self._faults:
                lost = f"the executor waits in vain for {name}"
                yield self._back(held, name, LATEST, Silence(sent=True), lost, is_fault=True)
                unsent = f"the executor cannot reach the provider for {name}"
                yield self._back(held, name, LATEST, Silence(sent=False), unsent, is_fault=True)
            if self._faults:
                yield from self._stale(held, intent)

    def show(self, held: Held) -> str:
        """Say what Payments knows, and what is so at the provider."""
        money: Money = held.data
        payment, books = money.payment, money.provider
        knows = (
            payment.status + (", void wanted" if payment.void_requested else "") if payment else "no payment"
        )
        calls = ", ".join(f"{name} {its.status}" for name, its in payment.intents.items()) if payment else ""
        return f"{knows} ({calls}); provider: held {books.held}, kept {books.captured - books.refunded}"

    def _arrivals(self, held: Held, intent: Intent) -> Iterable[Turn]:
        """Let the provider decide. A request that somebody once began to make may arrive at any time."""
        for answer, books in held.data.provider.may_answer(intent):
            money = replace(held.data, provider=books)
            said = "does" if isinstance(answer, Approved) else "refuses"
            wrong = (
                "an undo is asked for that can never be done" if said != "does" and intent.refusals else ""
            )
            what = f"the provider {said} {intent.operation}"
            yield Turn(what, Held(_key(money), money, held.alarms), wrong=wrong)

    def _stale(self, held: Held, intent: Intent) -> Iterable[Turn]:
        """Let an executor come back whose lease has lapsed, with any answer that its key ever had."""
        keys = f"{ORDER}:{intent.operation}"
        for answer in [each for key, each in held.data.provider.answers if key.startswith(keys)]:
            what = f"an executor whose lease has lapsed brings {type(answer).__name__} for {intent.operation}"
            yield self._back(held, intent.operation, EARLIER, answer, what, is_fault=True)
        if intent.attempts:
            what = f"an executor whose lease has lapsed has waited in vain for {intent.operation}"
            yield self._back(held, intent.operation, EARLIER, Silence(sent=True), what, is_fault=True)

    def _back(
        self,
        held: Held,
        operation: str,
        lease: UUID,
        result: Outcome | Silence,
        what: str,
        *,
        is_fault: bool = False,
    ) -> Turn:
        payment = _copy(held.data.payment)
        assert payment is not None
        said = payment.take(payment.intents[operation], lease, result)
        step = self._stage.play(self.name, None, held.alarms, lambda bus: bus.take(self.name, outputs(said)))
        turn = _turn(what, replace(held.data, payment=payment), step)
        return replace(turn, comes_by_itself=not is_fault)


def wrong_with(money: Money) -> str:
    """Return what must never be."""
    books, payment = money.provider, money.payment
    if books.charges > 1:
        return "the customer was charged twice"
    if not 0 <= books.refunded <= books.captured <= TOTAL.amount:
        return "more was taken or given back than there was"
    if books.held and books.captured:
        return "money is held beside what was taken"
    if payment:
        rests = not any(each.is_open for each in payment.intents.values())
        if rests and (payment.status == "authorized") != bool(books.held):
            return f"the payment is {payment.status}, and the provider holds {books.held}"
        if rests and (payment.status == "captured") != bool(books.captured - books.refunded):
            return f"the payment is {payment.status}, and the provider kept {books.captured - books.refunded}"
    return ""


def _turn(what: str, money: Money, step: Step) -> Turn:
    """Give lasting ids, and forget what cannot matter: how often a call was tried beyond once, and words."""
    payment, names = money.payment, {}
    if payment:
        names[payment.id], payment.id = PAYMENT, PAYMENT
        payment.void_reason = ""
        for operation, intent in payment.intents.items():
            lasting = uuid5(PAYMENT, operation)
            names[intent.id], intent.id = lasting, lasting
            _make_plain(intent)
        if payment.refund:
            lasting = uuid5(PAYMENT, "refunded")
            names[payment.refund.id], payment.refund.id = lasting, lasting
            payment.refund.reason = ""
    step = made_plain(step, names)
    return Turn(what, Held(_key(money), money, _that_matter(payment, step.alarms)), step.says)


def _make_plain(intent: Intent) -> None:
    intent.payment_id = PAYMENT
    intent.attempts, intent.code, intent.detail = min(intent.attempts, 1), "", ""
    if intent.lease_token:
        intent.lease_token, intent.leased_until = LATEST, DUE + timedelta(seconds=12)


def _that_matter(payment: Payment | None, alarms: frozenset[Alarm]) -> frozenset[Alarm]:
    """Return the timers of calls which are still open: that of a call that was made does nothing."""
    intents = payment.intents.values() if payment else ()
    due = [_alarm(CallDue(intent_id=each.id, order_id=ORDER)) for each in intents if each.is_open]
    return alarms.intersection(due)


def _alarm(due: CallDue) -> Alarm:
    return Alarm(f"call:{due.intent_id}", due)


def _key(money: Money) -> Hashable:
    payment = money.payment
    if payment is None:
        return None, money.provider
    intents = frozenset(
        (its.operation, its.status, its.attempts, its.refusals, its.doubted, its.lease_token)
        for its in payment.intents.values()
    )
    refund = payment.refund and payment.refund.status
    return (payment.status, payment.void_requested, payment.amount, refund, intents), money.provider


def _copy(payment: Payment | None) -> Payment | None:
    if payment is None:
        return None
    intents = {name: copy(intent) for name, intent in payment.intents.items()}
    return replace(payment, intents=intents, refund=copy(payment.refund))


def _of(message: Message, payment: Payment | None) -> str:
    if not isinstance(message, CallDue) or payment is None:
        return ""
    intent = payment.intent(message.intent_id)
    return f" ({intent.operation})" if intent else ""
