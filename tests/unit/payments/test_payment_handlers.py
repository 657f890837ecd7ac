"""What Payments answers to each command, and what it wants of the provider because of it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from payments_svc.domain import Call, Payment, Silence
from payments_svc.handlers import LEASE_S, calls, handlers, outputs
from payments_svc.provider import Approved, Refused
from shared_events.contract import Message, contract_of
from shared_events.contracts.payments import AuthorizePayment, CallDue, CapturePayment, VoidPayment
from shared_events.contracts.values import Money
from shared_events.handlers import Later, Output

ORDER = UUID(int=1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
AUTHORIZE = AuthorizePayment(
    order_id=ORDER, customer_id=UUID(int=2), amount=Money(1250, "EUR"), payment_method="tok_visa"
)
CAPTURE = CapturePayment(order_id=ORDER)
VOID = VoidPayment(order_id=ORDER, reason="by_customer")
HOUR = timedelta(hours=1)


class Shelf:
    """The payments that the handlers see; stands in for PaymentsWork."""

    def __init__(self) -> None:
        self.payments: dict[UUID, Payment] = {}
        self.now = NOW
        self.call: Call | None = None
        self.wait_s = 0.0
        self.running: dict[str, Call] = {}

    def add(self, payment: Payment) -> Payment:
        self.payments[payment.order_id] = payment
        return payment

    def receives(self, message: Message, wait_s: float = 0.0) -> list[str]:
        """Let the worker or an executor take it; a call that is leased then is `running`."""
        its = contract_of(message).type
        handler = handlers.get(its) or calls.get(its)
        assert handler is not None
        self.call, self.wait_s = None, wait_s
        said = words(handler(message, self))
        if self.call is None:
            return said
        self.running[self.call.operation] = self.call
        return [*said, f"{self.call.operation} leased"]

    def claims(self, operation: str, after: timedelta = timedelta()) -> tuple[Call, list[str]]:
        """Let the call's timer fire."""
        self.now += after
        intent = self.payments[ORDER].intents[operation]
        said = self.receives(CallDue(intent_id=intent.id, order_id=ORDER))
        return self.running[operation], said[:-1]

    def hears(self, call: Call, result: Approved | Refused | Silence) -> list[str]:
        payment = self.payments[ORDER]
        return words(outputs(payment.take(payment.intents[call.operation], call.lease, result)))

    def calls(self, operation: str, result: Approved | Refused | Silence) -> list[str]:
        """Let the call that is running, or the next try, come to this result."""
        if operation not in self.running:
            self.claims(operation, after=HOUR)
        return self.hears(self.running.pop(operation), result)


def words(said: list[Output] | tuple[Output, ...]) -> list[str]:
    """Return what was said as short words: `call authorize in 1 s` or the reply's name."""
    result = []
    for each in said:
        if isinstance(each, Later):
            assert isinstance(each.message, CallDue)
            result.append(f"call in {each.after_s:g} s")
        elif isinstance(each, Message):
            result.append(contract_of(each).type.removeprefix("payments."))
    return result


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_a_command_leases_its_call_to_the_executor_that_takes_it(shelf):
    assert shelf.receives(AUTHORIZE) == ["authorize leased"]


def test_a_command_that_comes_again_during_the_call_leads_to_no_other(shelf):
    shelf.receives(AUTHORIZE)

    assert shelf.receives(AUTHORIZE) == [f"call in {LEASE_S:g} s"]
    assert shelf.calls("authorize", Approved("r")) == ["payment_authorized"]


def test_while_calls_must_wait_a_command_leaves_an_intent_and_a_timer(shelf):
    assert shelf.receives(AUTHORIZE, wait_s=3) == ["call in 3 s"]
    assert shelf.payments[ORDER].intents["authorize"].attempts == 0
    assert shelf.calls("authorize", Approved("r")) == ["payment_authorized"]


def test_every_command_is_answered_again_with_its_outcome(shelf):
    shelf.receives(AUTHORIZE)
    assert shelf.calls("authorize", Approved("r")) == ["payment_authorized"]
    assert shelf.receives(AUTHORIZE) == ["payment_authorized"]
    assert shelf.receives(CAPTURE) == ["capture leased"]
    assert shelf.calls("capture", Approved("r")) == ["payment_captured"]
    assert shelf.receives(CAPTURE) == ["payment_captured"]
    assert shelf.receives(AUTHORIZE) == ["payment_authorized"]


def test_a_call_carries_what_the_provider_needs(shelf):
    shelf.receives(AUTHORIZE)
    shelf.calls("authorize", Approved("hold-1"))
    shelf.receives(CAPTURE)

    call = shelf.running["capture"]

    assert (call.key, call.reference, call.amount) == (f"{ORDER}:capture", "hold-1", Money(1250, "EUR"))
    assert not call.ask_first


def test_a_void_of_an_authorised_payment_lets_it_go(shelf):
    shelf.receives(AUTHORIZE)
    shelf.calls("authorize", Approved("r"))

    assert shelf.receives(VOID) == ["call in 0 s"]
    assert shelf.calls("void", Approved("r")) == ["payment_voided"]
    assert shelf.receives(VOID) == ["payment_voided"]
    assert shelf.receives(CAPTURE) == ["capture_refused"]
    assert shelf.receives(AUTHORIZE) == ["payment_declined"]


def test_a_void_during_a_capture_waits_for_its_outcome_and_refunds(shelf):
    shelf.receives(AUTHORIZE)
    shelf.calls("authorize", Approved("r"))
    shelf.receives(CAPTURE)
    call = shelf.running["capture"]

    assert shelf.receives(VOID) == ["call in 0 s"]
    assert shelf.hears(call, Approved("r")) == ["call in 0 s"]
    assert shelf.calls("refund", Approved("r")) == ["refund_succeeded", "payment_voided"]


def test_a_void_before_the_capture_was_claimed_needs_no_refund(shelf):
    shelf.receives(AUTHORIZE)
    shelf.calls("authorize", Approved("r"))
    shelf.receives(CAPTURE, wait_s=3)

    shelf.receives(VOID)

    assert shelf.payments[ORDER].intents["capture"].status == "closed"
    assert shelf.calls("void", Approved("r")) == ["payment_voided"]


def test_a_refused_void_is_tried_again_as_a_new_call_for_ever(shelf):
    shelf.receives(AUTHORIZE)
    shelf.calls("authorize", Approved("r"))
    shelf.receives(VOID)

    said = [shelf.calls("void", Refused("busy")) for _ in range(11)]

    assert said[:4] == [["call in 1 s"], ["call in 2 s"], ["call in 4 s"], ["call in 8 s"]]
    assert said[-1] == ["call in 300 s"]
    call, _ = shelf.claims("void", after=HOUR)
    assert call.key == f"{ORDER}:void:11"


def test_a_capture_refused_by_the_provider_is_refused_for_ever(shelf):
    shelf.receives(AUTHORIZE)
    shelf.calls("authorize", Approved("r"))
    shelf.receives(CAPTURE)

    assert shelf.calls("capture", Refused("expired")) == ["capture_refused"]
    assert shelf.receives(CAPTURE) == ["capture_refused"]
    assert shelf.receives(VOID) == ["call in 0 s"]


def test_a_time_out_is_told_once_and_asked_about(shelf):
    shelf.receives(AUTHORIZE)

    assert shelf.calls("authorize", Silence(sent=True)) == ["authorization_in_doubt", "call in 1 s"]
    assert shelf.calls("authorize", Silence(sent=True)) == ["call in 2 s"]
    call, _ = shelf.claims("authorize", after=HOUR)
    assert call.ask_first


def test_a_call_that_was_never_sent_is_not_in_doubt(shelf):
    shelf.receives(AUTHORIZE)

    assert shelf.calls("authorize", Silence(sent=False)) == ["call in 1 s"]
    assert shelf.payments[ORDER].intents["authorize"].status == "waiting"


def test_what_may_have_happened_is_never_closed_without_an_answer(shelf):
    shelf.receives(AUTHORIZE)
    shelf.calls("authorize", Silence(sent=False))

    assert shelf.receives(VOID) == ["call in 0 s"]
    assert shelf.calls("authorize", Approved("r")) == ["call in 0 s"]
    assert shelf.calls("void", Approved("r")) == ["payment_voided"]


def test_a_live_lease_is_waited_for_and_a_lapsed_one_taken_over(shelf):
    shelf.receives(AUTHORIZE)
    first = shelf.running["authorize"]

    second, said = shelf.claims("authorize", after=HOUR)

    assert said == ["authorization_in_doubt"]
    assert shelf.hears(first, Refused("late")) == []
    assert shelf.hears(second, Approved("r")) == ["payment_authorized"]


def test_a_capture_of_nothing_is_refused(shelf):
    assert shelf.receives(CAPTURE) == ["capture_refused"]


def test_a_refund_by_staff_keeps_its_row_when_the_order_is_undone_too(shelf):
    shelf.receives(AUTHORIZE)
    shelf.calls("authorize", Approved("r"))
    shelf.receives(CAPTURE)
    shelf.calls("capture", Approved("r"))
    payment = shelf.payments[ORDER]
    payment.give_back("broken", "staff-7")
    refund = payment.refund

    shelf.receives(VOID)

    assert payment.refund is refund
    assert shelf.calls("refund", Approved("r")) == ["refund_succeeded", "payment_voided"]
