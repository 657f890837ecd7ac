"""Several orders' payments through the real handlers and calls, in any order, with any fault of the provider."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from payment_world import AMOUNT, CUSTOMER, ProviderModel

from payments_svc.domain import Call, Payment, Silence
from payments_svc.handlers import calls, handlers, outputs
from payments_svc.provider import Outcome
from shared_events.contract import Message, contract_of
from shared_events.contracts.payments import AuthorizePayment, CapturePayment, VoidPayment
from shared_events.handlers import Later, Output

ORDERS = [uuid5(UUID(int=0), str(number)) for number in range(4)]
PAID = AMOUNT.amount
OPERATIONS = ["authorize", "capture", "void", "refund"]
orders = st.sampled_from(ORDERS)
refusals = st.lists(st.frozensets(st.sampled_from(OPERATIONS)), min_size=len(ORDERS), max_size=len(ORDERS))


@dataclass
class Work:
    """What the handlers see."""

    payments: dict[UUID, Payment] = field(default_factory=dict)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    call: Call | None = None
    wait_s: float = 0.0

    def add(self, payment: Payment) -> Payment:
        self.payments[payment.order_id] = payment
        return payment


class Payments(RuleBasedStateMachine):
    """Commands may come again at any time; several executors make calls, late or in vain."""

    def __init__(self) -> None:
        super().__init__()
        self.work = Work()
        self.due: list[Message] = []
        self.running: list[Call] = []
        self.late: list[Call] = []
        self.said: dict[UUID, list[str]] = {order: [] for order in ORDERS}

    @initialize(refused=refusals)
    def open(self, refused: list[frozenset[str]]) -> None:
        """For each order the provider says no to some things; undos it refuses once."""
        pairs = zip(ORDERS, refused, strict=True)
        self.books = {order: ProviderModel(says_no_to=each) for order, each in pairs}

    @rule(order=orders)
    def authorize(self, order: UUID) -> None:
        self.due.append(
            AuthorizePayment(order_id=order, customer_id=CUSTOMER, amount=AMOUNT, payment_method="tok_visa")
        )

    @rule(order=orders)
    def capture(self, order: UUID) -> None:
        if "PaymentAuthorized" in self.said[order]:  # Orders asks for it only then
            self.due.append(CapturePayment(order_id=order))

    @rule(order=orders)
    def void(self, order: UUID) -> None:
        handler: Any = handlers.get("payments.void_payment")
        self._hear(handler(VoidPayment(order_id=order, reason="by_customer"), self.work))

    @precondition(lambda self: self.due)
    @rule(data=st.data(), again=st.booleans(), wait_s=st.sampled_from([0.0, 0.0, 1.0]))
    def an_executor_takes_a_message(self, data: st.DataObject, again: bool, wait_s: float) -> None:
        """It may come again, and the breaker may be open."""
        due = data.draw(st.sampled_from(self.due))
        if not again:
            self.due.remove(due)
        self.work.wait_s = wait_s
        self._lease(due)
        self.work.wait_s = 0.0

    @precondition(lambda self: self.running)
    @rule(
        data=st.data(), fate=st.sampled_from(["answered", "answer lost", "request lost", "not sent", "late"])
    )
    def a_call_ends(self, data: st.DataObject, fate: str) -> None:
        call = data.draw(st.sampled_from(self.running))
        self.running.remove(call)
        result: Outcome | Silence = Silence(sent=fate != "not sent")
        if fate in {"answered", "answer lost"}:
            answer = self.books[call.order_id].run(call)
            result = answer if fate == "answered" else result
        if fate == "late":
            self.late.append(call)
        self._take(call, result)

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def a_late_request_arrives(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.late))
        self.late.remove(call)
        self.books[call.order_id].run(call)

    @rule()
    def leases_lapse(self) -> None:
        """Whoever has one may still come back; somebody else takes the call meanwhile."""
        self.work.now += timedelta(hours=1)

    @invariant()
    def nothing_happens_twice(self) -> None:
        for books in getattr(self, "books", {}).values():
            assert books.charges <= 1
            assert books.refunded <= books.captured <= PAID
            assert books.held * books.captured == 0

    @invariant()
    def what_was_said_is_so(self) -> None:
        for order, said in self.said.items():
            if "PaymentVoided" in said:
                assert (self.books[order].held, self.books[order].kept) == (0, 0)

    def teardown(self) -> None:
        """Let everything arrive: then each payment is what the provider's books say, and every void was answered."""
        for _ in range(60):
            for call in [*self.running, *self.late]:
                self._take(call, self.books[call.order_id].run(call))
            self.running, self.late = [], []
            self.leases_lapse()
            waiting, self.due = self.due, []
            for due in waiting:
                self._lease(due)
            if not (self.running or self.due):
                break
        for order, payment in self.work.payments.items():
            books = self.books[order]
            assert not any(intent.is_open for intent in payment.intents.values())
            assert (books.held == PAID, books.kept == PAID) == (
                payment.status == "authorized",
                payment.status == "captured",
            )
            assert ("PaymentVoided" in self.said[order]) == payment.void_requested

    def _lease(self, due: Message) -> None:
        self.work.call = None
        handler: Any = calls.get(contract_of(due).type)
        self._hear(handler(due, self.work))
        if self.work.call:
            self.running.append(self.work.call)
            self.due.append(due)  # the broker gives it again if its executor dies

    def _take(self, call: Call, result: Outcome | Silence) -> None:
        payment = self.work.payments[call.order_id]
        self._hear(outputs(payment.take(payment.intents[call.operation], call.lease, result)))

    def _hear(self, said: list[Output]) -> None:
        for each in said:
            if isinstance(each, Later):
                self.due.append(each.message)
            elif isinstance(each, Message) and hasattr(each, "order_id"):
                self.said[each.order_id].append(type(each).__name__)


Payments.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestSeveralPayments = Payments.TestCase
