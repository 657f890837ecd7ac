"""What handling messages means: their effect, in one transaction for a whole batch."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection, Engine

from shared_events import inbox, logs, metrics
from shared_events.contract import JOURNEY, Envelope, Received, UnknownContract
from shared_events.handlers import Handlers, Output
from shared_events.work import UnitOfWork

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A readable message and how often it was tried, this time included."""

    received: Received
    number: int


class Effect(Protocol):
    """Applies messages all or none, each at most once ever; returns measurements. Raises to say that none took."""

    @property
    def engine(self) -> Engine:
        """The database that it changes."""

    def __call__(self, attempts: Sequence[Attempt]) -> tuple[tuple[str, float], ...]:
        """Apply."""


@dataclass(frozen=True)
class Transaction:
    """The usual effect: one database transaction for the whole batch."""

    engine: Engine
    handlers: Handlers
    work: Callable[[Connection], UnitOfWork]

    def __call__(self, attempts: Sequence[Attempt]) -> tuple[tuple[str, float], ...]:
        """Claim the ids, lock every row at once, run the handlers, write rows and outbox, commit."""
        with self.engine.begin() as connection:
            claimed = inbox.claim(connection, [(each.received.envelope, each.number) for each in attempts])
            fresh = [each.received for each in attempts if each.received.envelope.id in claimed]
            absorbed = metrics.absorbed(len(attempts) - len(fresh))
            if not fresh:
                return absorbed
            work = self.work(connection)
            work.lock([received.message for received in fresh])
            for received in fresh:
                handle(received, self.handlers, work)
            work.complete()
        handled(fresh)
        return (*work.observations, *absorbed)


def handle(received: Received, handlers: Handlers, work: UnitOfWork) -> None:
    """Run the message's handler; what it says leaves with the transaction. Raises UnknownContract."""
    envelope = received.envelope
    handler = handlers.get(envelope.type)
    if handler is None:
        raise UnknownContract(f"{handlers.service} has no handler for {envelope.type}")
    with logs.context(**_about(received)):
        said = handler(received.message, work)
    emit(said, envelope, work)


def handled(many: Sequence[Received]) -> None:
    """Log that these took effect: a line for each."""
    logs.each(log, "handled", [_about(each) for each in many])


def emit(said: Iterable[Output], cause: Envelope, work: UnitOfWork) -> None:
    """Let these leave with the transaction, as part of their cause's journey."""
    work.emit(
        said,
        correlation_id=cause.correlation_id,
        causation_id=cause.id,
        traceparent=cause.traceparent,
    )


def _about(received: Received) -> dict[str, object]:
    """Return what a log line says of a message."""
    envelope = received.envelope
    about: dict[str, object] = {
        "type": envelope.type,
        "message_id": envelope.id,
        "correlation_id": envelope.correlation_id,
    }
    journey = getattr(received.message, JOURNEY, None)
    return about if journey is None else {**about, JOURNEY: journey}
