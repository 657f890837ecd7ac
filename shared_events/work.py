"""A unit of work: what the handlers and the API of a service see of its database in one transaction."""

from collections.abc import Iterable, Sequence
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Connection
from uuid_utils.compat import uuid7

from shared_events import outbox, trace
from shared_events.contract import Message
from shared_events.handlers import Output
from shared_events.outbox import Outgoing
from shared_events.writes import Values, Writes


class UnitOfWork:
    """Rows locked in one sweep, plain objects to change, and everything written together at the end.

    A service subclasses it in `tables.py`; nothing else there knows columns. Handlers change the objects it
    holds; because all messages of a batch see the same objects, several messages of one order in one batch
    build on each other.
    """

    service: ClassVar[str]

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._outgoing: list[Outgoing] = []
        self._writes = Writes()
        self.observations: list[tuple[str, float]] = []

    def lock(self, messages: Sequence[Message]) -> None:
        """Read and lock every row that these messages will change, table by table in one fixed order."""
        raise NotImplementedError

    def flush(self) -> None:
        """Hand to `write` what changed since the last time."""
        raise NotImplementedError

    def write(self, statement: str, rows: Sequence[Values]) -> None:
        """Let a statement over these rows (`writes.over_rows`) leave with the others, if there are any rows.

        No two statements of a transaction may change the same row.
        """
        if rows:
            self._writes.add_rows(statement, rows)

    def save(self) -> None:
        """Write what changed now, to be read again in this transaction."""
        self.flush()
        self._writes.send(self.connection)

    def emit(
        self,
        outputs: Iterable[Output],
        *,
        correlation_id: UUID | None = None,
        causation_id: UUID | None = None,
        traceparent: str | None = None,
    ) -> None:
        """Let these leave with the transaction, as part of a journey (a new one by default)."""
        journey = correlation_id or uuid7()
        span = traceparent or trace.current()
        self._outgoing += [Outgoing(output, journey, causation_id, span) for output in outputs]

    def observe(self, metric: str, value: float) -> None:
        """Note a measurement; it counts only if the transaction commits."""
        self.observations.append((metric, value))

    def complete(self) -> None:
        """Write the changed rows and the outbox, in one round trip. The caller commits."""
        self.completed().send(self.connection)

    def completed(self) -> Writes:
        """Return what `complete` would send."""
        self.flush()
        outbox.write(self._writes, self._outgoing)
        return self._writes
