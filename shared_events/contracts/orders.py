"""What Orders tells the world, and its own timers."""

from datetime import datetime
from uuid import UUID

from shared_events.contract import Fact, Timer, contract
from shared_events.contracts.values import Line, Money


@contract("orders.order_created", subject="order_id")
class OrderCreated(Fact, frozen=True, kw_only=True):
    """A customer's order was accepted. Nothing is reserved or paid yet."""

    order_id: UUID
    customer_id: UUID
    lines: tuple[Line, ...]
    total: Money


@contract("orders.order_confirmed", subject="order_id")
class OrderConfirmed(Fact, frozen=True, kw_only=True):
    """Stock is reserved and payment authorised: the order will be fulfilled."""

    order_id: UUID
    customer_id: UUID


@contract("orders.order_completed", subject="order_id")
class OrderCompleted(Fact, frozen=True, kw_only=True):
    """The goods left the stock and the money was captured. Final."""

    order_id: UUID
    customer_id: UUID
    lines: tuple[Line, ...]
    total: Money


@contract("orders.order_cancelled", subject="order_id")
class OrderCancelled(Fact, frozen=True, kw_only=True):
    """Nothing is held and nothing was kept. Final. `reason` is one of the documented words."""

    order_id: UUID
    customer_id: UUID
    reason: str
    detail: str


@contract("orders.step_timed_out", subject="order_id")
class StepTimedOut(Timer, frozen=True, kw_only=True):
    """A step's reply is due: `attempt` says which sending of the step's command the timer was set for."""

    order_id: UUID
    step: str
    attempt: int
    due_at: datetime


@contract("orders.sweep_due", subject="sweeper")
class SweepDue(Timer, frozen=True, kw_only=True):
    """Look for orders that make no progress."""

    sweeper: str = "orders"


@contract("orders.order_sweep_due", subject="order_id")
class OrderSweepDue(Timer, frozen=True, kw_only=True):
    """Repeat what this order waits for. One message for each order: what is wrong with one stops no other."""

    order_id: UUID
