"""Orders in the model: one order with its saga, the customer who may cancel it, and the sweeper."""

from collections.abc import Callable, Hashable, Iterable
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from types import MappingProxyType

from one_step import (
    CUSTOMER,
    DEADLINES,
    DUE,
    OFTEN,
    ORDER,
    Alarm,
    Held,
    Post,
    Stage,
    Step,
    Turn,
    made_plain,
    moments,
)

from orders_svc.book import OrderBook
from orders_svc.domain import BY_CUSTOMER, COMPLETED, CONFIRMED, FINAL, CannotCancel, Order, OrderLine
from orders_svc.saga import checkout
from orders_svc.saga_engine import Engine, Progress, Standing
from shared_events.contract import Message
from shared_events.contracts.orders import OrderCancelled, OrderCompleted, OrderSweepDue, StepTimedOut
from shared_events.contracts.values import Money
from shared_events.handlers import Output

QUANTITY, PRICE = 2, 1200
SOME = "some reason"
WISHES = ("cancel", "sweep", "heal", "suspend")
TOTAL = Money(QUANTITY * PRICE, "EUR")
_WAITED_FOR = {Standing.SENT, Standing.UNDOING}


@dataclass(frozen=True)
class OrdersData:
    """The order, and the ends that were announced to the world."""

    order: Order
    announced: tuple[str, ...] = ()


class Orders:
    """The part. `reasons` gathers why the order was ever undone; `wishes` says what others may want of it."""

    name = "orders"

    def __init__(self, stage: Stage, wishes: Iterable[str] = WISHES) -> None:
        self.reasons: set[str] = set()
        self._stage, self._wishes = stage, frozenset(wishes)
        self._saga: Engine[Order] = checkout(DEADLINES)

    def start(self) -> Turn:
        """Accept the order, as the API does."""
        order = Order(
            id=ORDER,
            customer_id=CUSTOMER,
            lines=(OrderLine("MUG", "Mug", QUANTITY, PRICE),),
            total=TOTAL,
            payment_method="tok_visa",
            shipping_address={},
            created_at=DUE,
        )
        return self._asked(
            Held(None, OrdersData(order)), lambda order: order.place(self._saga, DUE), "accepted"
        )

    def hear(self, held: Held, message: Message) -> Iterable[Turn]:
        """Let the handler run."""
        for now, when in moments(message):
            turn = self._told(held, message, now, f"{_named(message)}{when}")
            yield replace(turn, comes_by_itself=not when)

    def act(self, held: Held) -> Iterable[Turn]:
        """Cancel, sweep, or suspend the customer."""
        order: Order = held.data.order
        if "cancel" in self._wishes:
            turn = self._asked(held, self._cancel, "the customer cancels")
            yield replace(turn, comes_by_itself=False)
        if "sweep" in self._wishes and order.status not in FINAL:
            turn = self._told(held, OrderSweepDue(order_id=ORDER), DUE, "the sweeper comes by")
            yield replace(turn, comes_by_itself=False)
        if "heal" in self._wishes and order.status != COMPLETED:
            for timed in (_timed(held), frozenset[str]()):
                turn = self._asked(held, partial(self._heal, timed), "an operator heals the order")
                yield replace(turn, comes_by_itself=False)
        if "suspend" in self._wishes and not (order.customer_suspended or order.confirmed_at or order.reason):
            data = replace(held.data, order=replace(order, customer_suspended=True))
            yield Turn(
                "the customer is suspended", Held(_key(data), data, held.alarms), comes_by_itself=False
            )

    def show(self, held: Held) -> str:
        """Say where the order and each of its steps stand."""
        order: Order = held.data.order
        steps = (f"{name} {each.standing.value}" for name, each in order.saga.steps.items())
        return f"{order.status} ({', '.join(steps)})"

    def _cancel(self, order: Order) -> Iterable[Output]:
        try:
            return order.cancel(self._saga, BY_CUSTOMER, "asked for", DUE)
        except CannotCancel:
            return ()

    def _heal(self, timed: frozenset[str], order: Order) -> Iterable[Output]:
        """Ask again. A timer that is on its way is not seen, so `timed` may lack it."""
        return order.heal(self._saga, "operator", "asked for", timed, DUE)

    def _told(self, held: Held, message: Message, now: datetime, what: str) -> Turn:
        book, order = _opened(held)
        step = self._stage.deliver(Post(self.name, message), book, held.alarms, now)
        return self._closed(held, order, step, what, is_silence=isinstance(message, StepTimedOut))

    def _asked(self, held: Held, do: Callable[[Order], Iterable[Output]], what: str) -> Turn:
        book, order = _opened(held)
        step = self._stage.play(self.name, book, held.alarms, lambda bus: bus.take(self.name, do(order)))
        return self._closed(held, order, step, what)

    def _closed(self, held: Held, order: Order, step: Step, what: str, *, is_silence: bool = False) -> Turn:
        ends = [
            type(each).__name__ for each in step.facts if isinstance(each, OrderCompleted | OrderCancelled)
        ]
        if order.reason not in {None, SOME}:
            self.reasons.add(str(order.reason))
        wrong = _wrong(held.data.order, order, is_silence=is_silence)
        data = OrdersData(_made_plain(order), (*held.data.announced, *ends))
        step = made_plain(step)
        return Turn(what, Held(_key(data), data, _that_matter(data.order, step.alarms)), step.says, wrong)


def _opened(held: Held) -> tuple[OrderBook, Order]:
    book, order = OrderBook(), copy(held.data.order)
    order.news = []
    book.orders[ORDER] = order
    return book, order


def _wrong(before: Order, after: Order, *, is_silence: bool) -> str:
    """Return what this step may not do."""
    if before.status in FINAL and after.status != before.status:
        return f"a {before.status} order became {after.status}"
    if before.status == CONFIRMED and is_silence and after.saga.undoing:
        return "a confirmed order was undone because nobody answered"
    if before.confirmed_at and after.confirmed_at != before.confirmed_at:
        return "an order was confirmed twice"
    if (after.saga, after.status, after.reason) != (
        before.saga,
        before.status,
        before.reason,
    ) and not after.changed:
        return "the order changed, and it would not be saved"
    return ""


def _timed(held: Held) -> frozenset[str]:
    return frozenset(each.message.step for each in held.alarms if isinstance(each.message, StepTimedOut))


def _that_matter(order: Order, alarms: frozenset[Alarm]) -> frozenset[Alarm]:
    """Return the timers of the sendings that are waited for. The others may still come, but wake nobody."""
    waits = {(step, its.attempt) for step, its in order.saga.steps.items() if its.standing in _WAITED_FOR}
    return frozenset(
        each
        for each in alarms
        if isinstance(each.message, StepTimedOut) and (each.message.step, each.message.attempt) in waits
    )


def _made_plain(order: Order) -> Order:
    steps = {name: Progress(its.standing, min(its.attempt, OFTEN)) for name, its in order.saga.steps.items()}
    return replace(
        order,
        saga=replace(order.saga, steps=MappingProxyType(steps)),
        reason=SOME if order.reason else None,
        detail="",
        confirmed_at=DUE if order.confirmed_at else None,
        changed=False,
        news=[],
    )


def _key(data: OrdersData) -> Hashable:
    order = data.order
    steps = frozenset((name, its.standing, its.attempt) for name, its in order.saga.steps.items())
    return (
        order.status,
        order.reason,
        order.customer_suspended,
        order.confirmed_at,
        order.saga.undoing,
        order.saga.doubted,
        steps,
        data.announced,
    )


def _named(message: Message) -> str:
    step = f" ({message.step}, {message.attempt})" if isinstance(message, StepTimedOut) else ""
    return type(message).__name__ + step
