"""How a wanted call is made: lease it in one transaction, call with none open, take the result in another.

A process may die between any two lines here. Then the lease lapses, and whoever comes next asks the
provider under the same key. That the provider does not know the key proves nothing, since the lost request
may still be on its way: so the call is repeated under its key, and that outcome is taken.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from payments_svc.breaker import Breaker, Open
from payments_svc.domain import Call, CallWanted, Silence
from payments_svc.handlers import outputs
from payments_svc.provider import Outcome, Provider, ProviderTimeout, ProviderUnavailable
from payments_svc.tables import PaymentsWork
from shared_events import inbox, logs
from shared_events.contract import Envelope
from shared_events.contracts.payments import CallDue
from shared_events.effect import Attempt
from shared_events.handlers import Handlers, Output

log = logging.getLogger(__name__)

LEASE_S = 12.0
"""Longer than a question and a call may take together; after that an executor counts as dead."""

calls = Handlers("payments")


@calls.on(CallDue)
def call_due(due: CallDue, work: PaymentsWork) -> list[Output]:
    """Lease the call to this process (`work.call`); if another has it, come back when its lease ends."""
    payment = work.payments.get(due.order_id)
    intent = payment.intent(due.intent_id) if payment else None
    if payment is None or intent is None:
        raise LookupError(f"there is no intent {due.intent_id}")
    work.call, said = payment.claim(intent, work.now, LEASE_S)
    return outputs(said)


def postpone(due: CallDue, after_s: float) -> list[Output]:
    """Leave the intent as it is and come back later."""
    return outputs([CallWanted(due.intent_id, due.order_id, after_s)])


@dataclass(frozen=True)
class Calls:
    """The effect of `payments.call_due` messages, one by one."""

    engine: Engine
    provider: Provider
    breaker: Breaker

    def __call__(self, attempts: Sequence[Attempt]) -> tuple[tuple[str, float], ...]:
        """Make each call."""
        for attempt in attempts:
            self.make(attempt)
        return ()

    def make(self, attempt: Attempt) -> None:
        """Make the call of one message, if it is still needed and nobody else is making it."""
        envelope = attempt.received.envelope
        with logs.context(
            correlation_id=envelope.correlation_id, message_id=envelope.id, order_id=envelope.subject
        ):
            call = self._lease(attempt)
            if call is not None:
                self._take(attempt, call, self._ask(call))

    def _lease(self, attempt: Attempt) -> Call | None:
        """Transaction 1. A message that leads to no call ends here, so it is noted in the inbox here."""
        due = _due(attempt)
        open_for_s = self.breaker.open_for_s
        with self.engine.begin() as connection:
            work = PaymentsWork(connection)
            if open_for_s:
                said = postpone(due, open_for_s)
            else:
                work.lock([due])
                said = call_due(due, work)
            if work.call is None:
                inbox.claim(connection, [(attempt.received.envelope, attempt.number)])
            _emit(work, said, attempt.received.envelope)
            work.complete()
            return work.call

    def _ask(self, call: Call) -> Outcome | Silence:
        """Call the provider, with no transaction open."""
        try:
            return self.breaker.call(lambda: _outcome(self.provider, call))
        except (ProviderUnavailable, Open) as error:
            log.warning("%s of order %s was not made: %s", call.operation, call.order_id, error)
            return Silence(sent=False)
        except ProviderTimeout as error:
            log.warning("%s of order %s is in doubt: %s", call.operation, call.order_id, error)
            return Silence(sent=True)

    def _take(self, attempt: Attempt, call: Call, result: Outcome | Silence) -> None:
        """Transaction 2. The lease decides whether the result counts, not the inbox.

        A copy of the message may have been delivered to another process meanwhile, which found the lease,
        left, and noted the id: that must not keep the result out.
        """
        due = _due(attempt)
        with self.engine.begin() as connection:
            work = PaymentsWork(connection)
            work.lock([due])
            inbox.claim(connection, [(attempt.received.envelope, attempt.number)])
            payment = work.payments[due.order_id]
            intent = payment.intent(due.intent_id)
            if intent is not None:
                said = payment.take(intent, call.lease, result)
                _emit(work, outputs(said), attempt.received.envelope)
            work.complete()


def _due(attempt: Attempt) -> CallDue:
    message = attempt.received.message
    if not isinstance(message, CallDue):
        raise TypeError(f"the executor makes calls, it does not take {type(message).__name__}")
    return message


def _emit(work: PaymentsWork, said: Sequence[Output], envelope: Envelope) -> None:
    work.emit(
        said,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.id,
        traceparent=envelope.traceparent,
    )


def _outcome(provider: Provider, call: Call) -> Outcome:
    """Ask what came of an earlier try; if there was none, or nothing is known of it, make the call."""
    known = provider.lookup(call.key) if call.ask_first else None
    return known or _OPERATIONS[call.operation](provider, call)


_OPERATIONS: dict[str, Callable[[Provider, Call], Outcome]] = {
    "authorize": lambda provider, call: provider.authorize(
        call.key, call.amount.amount, call.amount.currency, call.method, str(call.order_id)
    ),
    "capture": lambda provider, call: provider.capture(
        call.key, call.reference, call.amount.amount, call.amount.currency
    ),
    "void": lambda provider, call: provider.void(call.key, call.reference),
    "refund": lambda provider, call: provider.refund(
        call.key, call.reference, call.amount.amount, call.amount.currency
    ),
}
