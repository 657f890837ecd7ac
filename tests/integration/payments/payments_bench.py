"""Payments on a real database and a real provider, with its messages handed over by the test."""

import os
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Engine, delete, select, text, update

from payments_svc.breaker import Breaker
from payments_svc.calls import Calls
from payments_svc.domain import Payment
from payments_svc.handlers import calls, handlers
from payments_svc.provider import Provider
from payments_svc.simulator_provider import SimulatorProvider
from payments_svc.tables import INTENTS, PaymentsWork
from shared_events.contract import Envelope, Message, read, seal
from shared_events.contracts.payments import AuthorizePayment, CapturePayment, VoidPayment
from shared_events.contracts.values import Money
from shared_events.effect import Attempt, Transaction
from shared_events.tables import INBOX, OUTBOX

_BODY = msgspec.json.Decoder(tuple[tuple[Envelope], dict[str, Any], Any])


class DiesAfterTheCall(SimulatorProvider):
    """Its process is gone before anybody hears the answer."""

    def authorize(self, *arguments: Any) -> Any:
        super().authorize(*arguments)
        os._exit(9)


@dataclass
class Payments:
    """Hand it commands, let the executor run, look at what it said."""

    engine: Engine
    provider: Provider

    def receives(self, *messages: Message) -> None:
        """Let the worker and an executor take these, each theirs as one batch."""
        for table, effect in (
            (handlers, Transaction(self.engine, handlers, PaymentsWork)),
            (calls, self.executor()),
        ):
            theirs = [each for each in delivered(*messages) if each.received.envelope.type in table]
            if theirs:
                effect(theirs)

    def due(self) -> list[Attempt]:
        """Take the waiting calls out of the outbox, whenever they are due."""
        statement = delete(OUTBOX).where(OUTBOX.c.type == "payments.call_due").returning(OUTBOX.c.body)
        with self.engine.begin() as connection:
            bodies = list(connection.execute(statement).scalars())
        return [Attempt(read(_BODY.decode(bytes(body))[0][0]), 1) for body in bodies]

    def executor(self, provider: Provider | None = None, breaker: Breaker | None = None) -> Calls:
        """Return an executor; by default with the bench's provider and a breaker of its own."""
        return Calls(self.engine, provider or self.provider, breaker or Breaker(None))

    def killed_while_calling(self, provider_url: str, attempts: list[Attempt]) -> None:
        """Let an executor take these and die between its two transactions."""
        self.engine.dispose()
        child = os.fork()
        if child == 0:
            self.executor(DiesAfterTheCall(provider_url))(attempts)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9

    def calls(self, rounds: int = 10) -> None:
        """Make every call that is wanted, until none is."""
        for _ in range(rounds):
            attempts = self.due()
            if not attempts:
                return
            self.executor()(attempts)
        raise AssertionError(f"calls are still wanted after {rounds} rounds")

    def said(self, order_id: UUID) -> list[str]:
        """Return the types of what left for other services, oldest first."""
        with self.engine.connect() as connection:
            query = select(OUTBOX.c.type).where(OUTBOX.c.subject == str(order_id)).order_by(OUTBOX.c.id)
            types = list(connection.execute(query).scalars())
        return [each.removeprefix("payments.") for each in types if each != "payments.call_due"]

    def noted(self, attempt: Attempt) -> bool:
        """Return whether a message is in the inbox: then it is not needed any more."""
        with self.engine.connect() as connection:
            query = select(INBOX.c.type).where(INBOX.c.message_id == attempt.received.envelope.id)
            return connection.execute(query).first() is not None

    def pauses(self) -> list[float]:
        """Return in how many seconds each waiting call is due."""
        seconds = text("extract(epoch FROM available_at - now())")
        with self.engine.connect() as connection:
            found = connection.execute(
                select(seconds).select_from(OUTBOX).where(OUTBOX.c.type == "payments.call_due")
            )
            return [float(each) for each in found.scalars()]

    def payment(self, order_id: UUID) -> Payment:
        """Read a payment."""
        with self.engine.begin() as connection:
            work = PaymentsWork(connection)
            work.lock_orders([order_id])
            return replace(work.payments[order_id])

    def lapse(self, order_id: UUID) -> None:
        """Let the order's leases run out."""
        statement = update(INTENTS).where(INTENTS.c.order_id == order_id, INTENTS.c.status == "leased")
        with self.engine.begin() as connection:
            connection.execute(statement.values(leased_until=text("now() - interval '1 second'")))


def delivered(*messages: Message) -> list[Attempt]:
    """Return these as they are delivered for the first time; handed over again they come again."""
    sealed = [seal(each, correlation_id=getattr(each, "order_id")) for each in messages]  # noqa: B009
    return [Attempt(read(each), 1) for each in sealed]


def authorize(order: UUID, method: str = "tok_visa", amount: int = 1250) -> AuthorizePayment:
    return AuthorizePayment(
        order_id=order, customer_id=UUID(int=7), amount=Money(amount, "EUR"), payment_method=method
    )


def capture(order: UUID) -> CapturePayment:
    return CapturePayment(order_id=order)


def void(order: UUID) -> VoidPayment:
    return VoidPayment(order_id=order, reason="by_customer")


def books(provider: SimulatorProvider, order: UUID) -> list[tuple[int, int, int]]:
    return [(each.held, each.captured, each.refunded) for each in provider.records(order_id=str(order))]
