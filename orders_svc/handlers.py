"""What Orders does with each message: one function each, from a message to messages."""

from collections.abc import Iterable

from orders_svc.book import CustomerFact, OrderBook
from orders_svc.domain import CANCELLED, COMPLETED, CONFIRMED, PAYMENT, Order
from orders_svc.saga import Deadlines, checkout
from orders_svc.saga_engine import Engine
from shared_events.contract import Reply
from shared_events.contracts import customers, inventory, orders, payments
from shared_events.handlers import Cancel, Handlers, Later, Output

SWEEP_EVERY_S = 60.0
SWEEP_KEY = "sweep"


def first_sweep() -> tuple[Output, ...]:
    """Return what sets the sweeper going. Again is harmless: a sweep's timer replaces those before it."""
    return (Cancel(SWEEP_KEY), Later(orders.SweepDue(), 5.0, SWEEP_KEY))


def handlers(deadlines: Deadlines) -> Handlers:
    """Return Orders' handler table; the checkout saga runs with these deadlines."""
    table = Handlers("orders")
    _of_the_checkout(table, checkout(deadlines))
    _of_what_others_own(table, deadlines)
    table.on(orders.SweepDue)(sweep)
    return table


def _of_the_checkout(table: Handlers, saga: Engine[Order]) -> None:
    """Add what takes an order a step on, or back."""

    @table.on(
        inventory.StockReserved,
        inventory.StockRejected,
        inventory.StockReleased,
        inventory.StockCommitted,
        inventory.StockCommitRefused,
        payments.PaymentAuthorized,
        payments.PaymentDeclined,
        payments.PaymentVoided,
        payments.PaymentCaptured,
        payments.CaptureRefused,
    )
    def participant_replied(reply: Reply, book: OrderBook) -> Iterable[Output]:
        """Take the checkout a step on, or back."""
        order = book.order(reply.order_id)  # type: ignore[attr-defined]  # every reply above has one
        before = order.status
        outputs = order.hear(saga, reply, book.now)
        _measure(order, before, book)
        return outputs

    @table.on(payments.AuthorizationInDoubt)
    def authorization_in_doubt(reply: payments.AuthorizationInDoubt, book: OrderBook) -> Iterable[Output]:
        """Remember why the payment is silent."""
        return book.order(reply.order_id).doubt(saga, PAYMENT, book.now)

    @table.on(orders.StepTimedOut)
    def step_timed_out(timer: orders.StepTimedOut, book: OrderBook) -> Iterable[Output]:
        """Send again, or give the step up."""
        return book.order(timer.order_id).time_out(saga, timer, book.now)

    @table.on(orders.OrderSweepDue)
    def sweep_order(timer: orders.OrderSweepDue, book: OrderBook) -> Iterable[Output]:
        """Repeat what an order waits for."""
        return book.order(timer.order_id).nudge(saga, book.now)


def _of_what_others_own(table: Handlers, deadlines: Deadlines) -> None:
    """Add the answers about goods that are held, and the copies of prices and of who may order."""

    @table.on(inventory.ReservationOverdue)
    def reservation_overdue(question: inventory.ReservationOverdue, book: OrderBook) -> Output | None:
        """Keep the reservation of an order that still needs it; let go of any other.

        The goods of a completed order are gone: the question is old, and a release would put them back.
        """
        order = book.orders.get(question.order_id)
        if order is not None and order.status == COMPLETED:
            return None
        if order is None or order.saga.undoing:
            return inventory.ReleaseStock(order_id=question.order_id)
        return inventory.KeepReservation(order_id=question.order_id, hold_s=deadlines.hold_s)

    @table.on(inventory.ProductChanged)
    def product_changed(fact: inventory.ProductChanged, book: OrderBook) -> None:
        """Keep our copy of the catalogue up to date."""
        book.note_product(fact)

    @table.on(customers.CustomerSuspended, customers.CustomerReinstated)
    def customer_standing_changed(fact: CustomerFact, book: OrderBook) -> None:
        """Keep our copy of who may order up to date."""
        book.note_customer(fact)


def sweep(_: orders.SweepDue, book: OrderBook) -> Iterable[Output]:
    """Look after each order without progress; ask for the catalogue if we have none."""
    yield Cancel(SWEEP_KEY)
    yield Later(orders.SweepDue(), SWEEP_EVERY_S, SWEEP_KEY)
    for order_id in book.stuck:
        yield orders.OrderSweepDue(order_id=order_id)
    if book.has_no_products:
        yield inventory.CatalogueSnapshotRequested()
        yield customers.CustomerSnapshotRequested()


def _measure(order: Order, before: str, book: OrderBook) -> None:
    if order.status == before:
        return
    if order.status == CONFIRMED:
        book.observe("time_to_confirmed", (book.now - order.created_at).total_seconds())
    if order.status in {COMPLETED, CANCELLED}:
        book.observe(f"ended:{order.status}", 1)
