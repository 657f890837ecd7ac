"""Orders on an in-memory bus, alone or with the real handlers of Inventory and Payments beside it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

from orders_svc.book import OrderBook
from orders_svc.domain import Order, OrderLine
from orders_svc.handlers import handlers
from orders_svc.saga import Deadlines, checkout
from payments_svc.domain import Call, Payment
from payments_svc.handlers import calls, outputs
from payments_svc.provider import Approved, Outcome, Refused
from shared_events.contract import Message, contract_of
from shared_events.contracts.payments import AuthorizePayment, CallDue, CapturePayment
from shared_events.contracts.values import Money
from shared_events.handlers import Handlers, Output
from shared_events.testing import InMemoryBus

STEP_S = 100.0
DEADLINES = Deadlines(stock_s=STEP_S, payment_s=STEP_S)


class Shop:
    """One order and the bus; whoever is not on the bus is played by the test."""

    def __init__(self) -> None:
        self.bus = InMemoryBus()
        self.book = OrderBook()
        self.saga = checkout(DEADLINES)
        self.bus.join(handlers(DEADLINES), self.book)

    def place(self, method: str = "tok_visa", quantity: int = 2) -> Order:
        """Accept an order as the API does."""
        order = Order(
            id=uuid4(),
            customer_id=uuid4(),
            lines=(OrderLine("MUG", "Mug", quantity, 1200),),
            total=Money(1200 * quantity, "EUR"),
            payment_method=method,
            shipping_address={},
            created_at=self.bus.now,
        )
        self.book.orders[order.id] = order
        self.bus.send(*order.place(self.saga, self.bus.now))
        return order

    def cancel(self, order: Order, reason: str = "by_customer") -> None:
        """Cancel as the API does."""
        self.bus.take("orders", order.cancel(self.saga, reason, "asked for", self.bus.now))


@dataclass
class ProviderInMemory:
    """Keeps one order's money; the same key gives the same answer."""

    answers: dict[str, Outcome] = field(default_factory=dict)
    held: int = 0
    kept: int = 0

    def run(self, call: Call) -> Outcome:
        """Make a call, once per key."""
        if call.key not in self.answers:
            self.answers[call.key] = self._first(call)
        return self.answers[call.key]

    def _first(self, call: Call) -> Outcome:
        match call.operation:
            case "authorize" if call.method == "tok_declined":
                return Refused("declined")
            case "authorize":
                self.held += call.amount.amount
            case "capture" if not self.held:
                return Refused("not_held")
            case "capture":
                self.held, self.kept = 0, self.kept + self.held
            case "void":
                self.held = 0
            case "refund":
                self.kept = 0
        return Approved("ref")


@dataclass
class PaymentBook:
    """What the handlers of Payments see, in memory."""

    provider: ProviderInMemory = field(default_factory=ProviderInMemory)
    payments: dict[UUID, Payment] = field(default_factory=dict)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    call: Call | None = None
    wait_s: float = 0.0

    def add(self, payment: Payment) -> Payment:
        """Keep a new payment."""
        self.payments[payment.order_id] = payment
        return payment


executor = Handlers("payments")


@executor.on(AuthorizePayment, CapturePayment, CallDue)
def take(message: Message, book: PaymentBook) -> list[Output]:
    """Let the real handler lease a call, and make it at once."""
    handler = calls.get(contract_of(message).type)
    assert handler is not None
    said, call, book.call = [*handler(message, book)], book.call, None
    if call is not None:
        payment = book.payments[call.order_id]
        intent = payment.intents[call.operation]
        said += outputs(payment.take(intent, call.lease, book.provider.run(call)))
    return said
