"""The checkout saga. Success reads down, failure reads up."""

from dataclasses import dataclass
from datetime import datetime

from orders_svc.domain import CAPTURE, COMMIT, PAYMENT, STOCK, Order
from orders_svc.saga_engine import Engine, Saga, Step
from shared_events.contract import Message
from shared_events.contracts import inventory, orders, payments


@dataclass(frozen=True)
class Deadlines:
    """How long a participant may be silent before the step is given up, in seconds."""

    stock_s: float = 86_400.0
    payment_s: float = 7_200.0

    @property
    def hold_s(self) -> float:
        """How long Inventory keeps a reservation before it asks: above the sum of the deadlines."""
        return 1.5 * (self.stock_s + self.payment_s)


def checkout(deadlines: Deadlines) -> Engine[Order]:
    """Return the checkout saga with these deadlines."""
    return Engine(
        Saga(
            "checkout",
            steps=(
                Step(
                    STOCK,
                    send=lambda order: inventory.ReserveStock(
                        order_id=order.id, lines=order.stock_lines, hold_s=deadlines.hold_s
                    ),
                    succeeds_with=inventory.StockReserved,
                    fails_with=inventory.StockRejected,
                    undo=lambda order: inventory.ReleaseStock(order_id=order.id),
                    undone_with=inventory.StockReleased,
                    within_s=deadlines.stock_s,
                ),
                Step(
                    PAYMENT,
                    send=lambda order: payments.AuthorizePayment(
                        order_id=order.id,
                        customer_id=order.customer_id,
                        amount=order.total,
                        payment_method=order.payment_method,
                    ),
                    succeeds_with=payments.PaymentAuthorized,
                    fails_with=payments.PaymentDeclined,
                    undo=lambda order: payments.VoidPayment(order_id=order.id, reason=order.reason or ""),
                    undone_with=payments.PaymentVoided,
                    within_s=deadlines.payment_s,
                ),
                # The pivot: the order is confirmed.
                Step(
                    COMMIT,
                    send=lambda order: inventory.CommitStock(order_id=order.id, lines=order.stock_lines),
                    succeeds_with=inventory.StockCommitted,
                    fails_with=inventory.StockCommitRefused,
                    undone_by=STOCK,
                    within_s=deadlines.stock_s,
                ),
                Step(
                    CAPTURE,
                    send=lambda order: payments.CapturePayment(order_id=order.id),
                    succeeds_with=payments.PaymentCaptured,
                    fails_with=payments.CaptureRefused,
                    undone_by=PAYMENT,
                    within_s=deadlines.payment_s,
                ),
            ),
            pivot=PAYMENT,
            timer=_step_timer,
            key=lambda order, step: f"{order.id}:{step}",
        )
    )


def _step_timer(order: Order, step: str, attempt: int, due_at: datetime) -> Message:
    return orders.StepTimedOut(order_id=order.id, step=step, attempt=attempt, due_at=due_at)
