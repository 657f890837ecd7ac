"""Payments' part in the saga: message -> messages, one function each.

No handler calls the provider. A `CallDue` leaves with the transaction that wanted the call; the executor
makes it.
"""

from collections.abc import Iterable

from payments_svc.domain import CallWanted, Payment, Said, tombstone
from payments_svc.tables import PaymentsWork
from shared_events.contracts.payments import (
    AuthorizePayment,
    CallDue,
    CapturePayment,
    CaptureRefused,
    VoidPayment,
)
from shared_events.handlers import Cancel, Handlers, Later, Output

handlers = Handlers("payments")


@handlers.on(AuthorizePayment)
def authorize_payment(command: AuthorizePayment, work: PaymentsWork) -> list[Output]:
    """Hold the amount; a repeat gets the answer that the first got, or will get."""
    payment = work.payments.get(command.order_id)
    if payment is None:
        payment = Payment(
            command.order_id,
            customer_id=command.customer_id,
            amount=command.amount,
            method=command.payment_method,
        )
        work.add(payment)
    return outputs(payment.authorize())


@handlers.on(CapturePayment)
def capture_payment(command: CapturePayment, work: PaymentsWork) -> list[Output]:
    """Take the held amount."""
    payment = work.payments.get(command.order_id)
    if payment is None:
        return [CaptureRefused(order_id=command.order_id, code="not_authorized", detail="Nothing is held.")]
    return outputs(payment.capture())


@handlers.on(VoidPayment)
def void_payment(command: VoidPayment, work: PaymentsWork) -> list[Output]:
    """Undo whatever was done, and refuse whatever comes later."""
    payment = work.payments.get(command.order_id)
    if payment is None:
        payment = work.add(tombstone(command.order_id, command.reason))
    return outputs(payment.void(command.reason))


def outputs(said: Iterable[Said]) -> list[Output]:
    """Turn wanted calls into timers. One timer waits per intent: a new one takes the place of an older."""
    result: list[Output] = []
    for each in said:
        if isinstance(each, CallWanted):
            key = f"call:{each.intent_id}"
            due = CallDue(intent_id=each.intent_id, order_id=each.order_id)
            result += [Cancel(key), Later(due, each.after_s, key)]
        else:
            result.append(each)
    return result
