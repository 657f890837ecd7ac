"""Payments' part in the saga: message -> messages, one function each, in two tables, one for each queue.

What `calls` wants of the provider is leased in the same transaction, and called after it by the executor that
took the message. The worker's `handlers` never wait for the provider: what they want is a `CallDue` to the executor.
"""

from collections.abc import Iterable
from dataclasses import replace

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
"""The worker's."""
calls = Handlers("payments")
"""The executor's."""

LEASE_S = 12.0
"""Longer than a question and a call may take together; after that an executor counts as dead."""


@calls.on(AuthorizePayment)
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
    return at_once(payment.authorize(), work)


@calls.on(CapturePayment)
def capture_payment(command: CapturePayment, work: PaymentsWork) -> list[Output]:
    """Take the held amount."""
    payment = work.payments.get(command.order_id)
    if payment is None:
        return [CaptureRefused(order_id=command.order_id, code="not_authorized", detail="Nothing is held.")]
    return at_once(payment.capture(), work)


@calls.on(CallDue)
def call_due(due: CallDue, work: PaymentsWork) -> list[Output]:
    """Make a call that could not be made when it was wanted."""
    return at_once([CallWanted(due.intent_id, due.order_id)], work)


@handlers.on(VoidPayment)
def void_payment(command: VoidPayment, work: PaymentsWork) -> list[Output]:
    """Undo whatever was done, and refuse whatever comes later."""
    payment = work.payments.get(command.order_id)
    if payment is None:
        payment = work.add(tombstone(command.order_id, command.reason))
    return outputs(payment.void(command.reason))


def at_once(said: Iterable[Said], work: PaymentsWork) -> list[Output]:
    """Lease the call that is wanted now; turn what cannot be leased, or is wanted later, into timers."""
    rest: list[Said] = []
    for each in said:
        if isinstance(each, CallWanted) and not each.after_s:
            rest += _lease(each, work)
        else:
            rest.append(each)
    return outputs(rest)


def _lease(wanted: CallWanted, work: PaymentsWork) -> list[Said]:
    """Lease the call to this process (`work.call`); if it must wait, or another has it, come back later."""
    if work.wait_s:
        return [replace(wanted, after_s=work.wait_s)]
    payment = work.payments.get(wanted.order_id)
    intent = payment.intent(wanted.intent_id) if payment else None
    if payment is None or intent is None:
        raise LookupError(f"there is no intent {wanted.intent_id}")
    work.call, said = payment.claim(intent, work.now, LEASE_S)
    return said


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
