"""What an order is and how it may change. Pure: the standard library and the contracts only."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from orders_svc.saga_engine import Engine, State, Step
from shared_events.contract import Reply
from shared_events.contracts import inventory, orders, payments
from shared_events.contracts.values import Line, Money
from shared_events.handlers import Output

PENDING, RESERVED, CONFIRMED, COMPLETED = "pending", "reserved", "confirmed", "completed"
CANCELLING, CANCELLED = "cancelling", "cancelled"
DECIDED = frozenset({CONFIRMED, COMPLETED, CANCELLING, CANCELLED})
FINAL = frozenset({COMPLETED, CANCELLED})

STOCK, PAYMENT, COMMIT, CAPTURE = "stock", "payment", "commit", "capture"
"""The steps of the checkout; its declaration is in `saga`."""

OUT_OF_STOCK, PAYMENT_DECLINED, PAYMENT_IN_DOUBT = "out_of_stock", "payment_declined", "payment_in_doubt"
EXPIRED, CUSTOMER_SUSPENDED = "expired", "customer_suspended"
BY_CUSTOMER, BY_STAFF = "by_customer", "by_staff"

HEALED = "healed"
"""The timeline's word for an operator's asking again."""
REPEATED = re.compile(rf"^(swept|{HEALED})$| timed out$| in doubt$")
"""Entries of the timeline that are no progress."""

_WAITS = {
    STOCK: "Inventory to reserve the stock",
    PAYMENT: "Payments to authorise the payment",
    COMMIT: "Inventory to commit the stock",
    CAPTURE: "Payments to capture the payment",
}
_UNDO_WAITS = {STOCK: "Inventory to release the stock", PAYMENT: "Payments to void the payment"}


class CannotCancel(Exception):
    """The order is completed."""


@dataclass(frozen=True)
class OrderLine:
    """So many of a product, at the price that the order was accepted with (minor units each)."""

    sku: str
    name: str
    quantity: int
    unit_price: int


@dataclass(frozen=True)
class Entry:
    """One line of an order's timeline."""

    at: datetime
    event: str
    detail: str = ""


@dataclass
class Order:
    """A customer's order. `changed` says that it must be written; `news` are its new timeline entries."""

    id: UUID
    customer_id: UUID
    lines: tuple[OrderLine, ...]
    total: Money
    payment_method: str
    shipping_address: Mapping[str, Any]
    created_at: datetime
    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: str = PENDING
    reason: str | None = None
    detail: str = ""
    saga: State = field(default_factory=State)
    customer_suspended: bool = False
    confirmed_at: datetime | None = None
    changed: bool = False
    news: list[Entry] = field(default_factory=list)

    @property
    def stock_lines(self) -> tuple[Line, ...]:
        """What Inventory needs to know of the lines."""
        return tuple(Line(line.sku, line.quantity) for line in self.lines)

    def place(self, checkout: "Engine[Order]", now: datetime) -> tuple[Output, ...]:
        """Begin the checkout."""
        self._note(now, "accepted")
        created = orders.OrderCreated(
            order_id=self.id, customer_id=self.customer_id, lines=self.stock_lines, total=self.total
        )
        return (created, *self._turn(checkout, now, checkout.start(self, now)))

    def hear(self, checkout: "Engine[Order]", reply: Reply, now: datetime) -> tuple[Output, ...]:
        """Take a participant's reply, in whatever order and however often replies come."""
        for step in checkout.saga.steps:
            if isinstance(reply, step.succeeds_with):
                return self._succeeded(checkout, step, now)
            if isinstance(reply, step.fails_with):
                return self._refused(checkout, step, reply, now)
            if step.undone_with and isinstance(reply, step.undone_with):
                self._note(now, f"{step.name} undone")
                return self._turn(checkout, now, checkout.undone(self.saga, step, self))
        raise LookupError(f"no step of {checkout.saga.name} is answered by {type(reply).__name__}")

    def doubt(self, checkout: "Engine[Order]", step: str, now: datetime) -> tuple[Output, ...]:
        """Take note that a step's outcome is unknown to its service."""
        self._note(now, f"{step} in doubt")
        return self._turn(checkout, now, checkout.doubted(self.saga, checkout.saga.step(step)))

    def time_out(
        self, checkout: "Engine[Order]", timer: orders.StepTimedOut, now: datetime
    ) -> tuple[Output, ...]:
        """Take note that a step's reply is overdue."""
        step = checkout.saga.step(timer.step)
        reason = PAYMENT_IN_DOUBT if step.name in self.saga.doubted else EXPIRED
        turn = checkout.timed_out(self.saga, step, timer.attempt, timer.due_at, self, now)
        if turn[0].undoing and not self.saga.undoing:
            self._blame(reason, f"no answer about {step.name} within {step.within_s:g} s")
            turn = checkout.abandon(self.saga, self, now)
        if turn[0] != self.saga:
            self._note(now, f"{step.name} timed out", f"attempt {timer.attempt}")
        return self._turn(checkout, now, turn)

    def cancel(
        self, checkout: "Engine[Order]", reason: str, detail: str, now: datetime
    ) -> tuple[Output, ...]:
        """Undo everything. Again is harmless. Raises CannotCancel if the order is completed."""
        if self.status == COMPLETED:
            raise CannotCancel(f"order {self.id} is completed")
        if self.saga.undoing:
            return ()
        self._blame(reason, detail)
        return self._turn(checkout, now, checkout.abandon(self.saga, self, now))

    def nudge(self, checkout: "Engine[Order]", now: datetime) -> tuple[Output, ...]:
        """Repeat what is waited for, because nothing came for too long; nothing if the order is final."""
        if self.status in FINAL:
            return ()
        self._note(now, "swept", "; ".join(self.waits_for(checkout)))
        return self._turn(checkout, now, checkout.nudged(self.saga, self, now))

    def heal(
        self, checkout: "Engine[Order]", by: str, reason: str, timed: Collection[str], now: datetime
    ) -> tuple[Output, ...]:
        """Repeat, for an operator, what is waited for or undone; no clock is moved. Nothing if it is completed.

        `timed` are the steps for which a timer waits. Where there is nothing to repeat, nothing is noted either.
        """
        said = () if self.status == COMPLETED else checkout.asked_again(self.saga, self, now, timed)
        if said:
            self._note(now, HEALED, f"by {by}: {reason}".rstrip(": "))
        return said

    def waits_for(self, checkout: "Engine[Order]") -> list[str]:
        """Say in words what the order waits for; nothing if it is final."""
        words = _UNDO_WAITS if self.saga.undoing else _WAITS
        return [words[name] for name in checkout.waits_for(self.saga)]

    def _succeeded(self, checkout: "Engine[Order]", step: Step["Order"], now: datetime) -> tuple[Output, ...]:
        if self.customer_suspended and not self.saga.undoing and self.status in {PENDING, RESERVED}:
            self._blame(CUSTOMER_SUSPENDED, f"the customer was suspended before {step.name} was confirmed")
            return self._turn(checkout, now, checkout.abandon(self.saga, self, now))
        self._note(now, f"{step.name} succeeded")
        return self._turn(checkout, now, checkout.succeeded(self.saga, step, self, now))

    def _refused(
        self, checkout: "Engine[Order]", step: Step["Order"], reply: Reply, now: datetime
    ) -> tuple[Output, ...]:
        self._note(now, f"{step.name} refused")
        turn = checkout.refused(self.saga, step, self, now)
        if turn[0].undoing and not self.saga.undoing:
            self._blame(*_why(reply))
            turn = checkout.refused(self.saga, step, self, now)
        return self._turn(checkout, now, turn)

    def _blame(self, reason: str, detail: str) -> None:
        """Set the reason; the first cause stays."""
        if self.reason is None:
            self.reason, self.detail = reason, detail

    def _turn(
        self, checkout: "Engine[Order]", now: datetime, turn: tuple[State, Iterable[Output]]
    ) -> tuple[Output, ...]:
        self.changed = self.changed or turn[0] != self.saga
        self.saga, outputs = turn
        before, self.status = self.status, status_of(checkout, self.saga)
        return (*outputs, *self._announce(before, now))

    def _announce(self, before: str, now: datetime) -> tuple[Output, ...]:
        if self.status == before:
            return ()
        self._note(now, self.status, self.detail if self.reason else "")
        if self.status == CONFIRMED:
            self.confirmed_at = now
            return (orders.OrderConfirmed(order_id=self.id, customer_id=self.customer_id),)
        if self.status == COMPLETED:
            completed = orders.OrderCompleted(
                order_id=self.id, customer_id=self.customer_id, lines=self.stock_lines, total=self.total
            )
            return (completed,)
        if self.status == CANCELLED:
            cancelled = orders.OrderCancelled(
                order_id=self.id, customer_id=self.customer_id, reason=self.reason or "", detail=self.detail
            )
            return (cancelled,)
        return ()

    def _note(self, now: datetime, event: str, detail: str = "") -> None:
        self.news.append(Entry(now, event, detail))


def status_of(checkout: "Engine[Order]", state: State) -> str:
    """Return the status that follows from where the saga stands."""
    if state.undoing:
        return CANCELLED if checkout.is_undone(state) else CANCELLING
    for step, status in ((CAPTURE, COMPLETED), (PAYMENT, CONFIRMED), (STOCK, RESERVED)):
        if checkout.has_done(state, step):
            return status
    return PENDING


def _why(refusal: Reply) -> tuple[str, str]:
    """Return (reason, detail) of a refusal."""
    if isinstance(refusal, inventory.StockRejected | inventory.StockCommitRefused):
        short = ", ".join(
            f"{each.sku}: {each.requested} wanted, {each.available} left" for each in refusal.shortages
        )
        return OUT_OF_STOCK, f"stock: {short}" if short else "stock: the reservation was released"
    if isinstance(refusal, payments.PaymentDeclined | payments.CaptureRefused):
        return PAYMENT_DECLINED, f"payment: {refusal.code}: {refusal.detail}".rstrip(": ")
    raise LookupError(f"{type(refusal).__name__} is no refusal")
