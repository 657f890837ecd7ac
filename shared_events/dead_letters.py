"""The dead letters of one service: listed, grouped by cause, shown, replayed to that service only, or discarded.

Nothing is ever deleted by hand: who did what, when and why stays on the row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from uuid_utils.compat import uuid7

from shared_events.contract import Envelope, Unreadable
from shared_events.delivery import Delivery, open_envelope, whole
from shared_events.outbox import WAKE_THE_RELAY
from shared_events.retries import PERMANENT, Forged
from shared_events.tables import DEAD_LETTERS, INBOX, OUTBOX
from shared_events.topology import PAYMENT_CALLS, work_queue

OPEN, REPLAYED, DISCARDED, HANDLED = "open", "replayed", "discarded", "handled"
FORGED = PERMANENT[Forged]
"""The cause of what nobody can show to be genuine: never replayed, because a replay is published in our name."""
FROM_OUTBOX = "outbox"
"""In place of a queue: the message never left its own service."""
AT_ONCE = 10_000
"""How many are replayed or discarded in one transaction."""

_CAN_BE_REPLAYED = and_(DEAD_LETTERS.c.status == OPEN, DEAD_LETTERS.c.cause != FORGED)


@dataclass(frozen=True)
class Filter:
    """Which dead letters: every field that is set must match."""

    status: str | None = OPEN
    type: str | None = None
    cause: str | None = None
    correlation_id: UUID | None = None

    def condition(self) -> ColumnElement[bool]:
        """Return it as SQL."""
        table = DEAD_LETTERS.c
        wanted = {table.status: self.status, table.type: self.type, table.cause: self.cause}
        conditions = [column == value for column, value in wanted.items() if value is not None]
        if self.correlation_id is not None:
            conditions.append(table.correlation_id == self.correlation_id)
        return and_(True, *conditions)


def search(
    connection: Connection, wanted: Filter, *, limit: int, before: UUID | None = None
) -> Sequence[Row[Any]]:
    """Return matching dead letters without their bodies, newest first; `before` is the last id of a page."""
    table = DEAD_LETTERS.c
    columns = [column for column in table if column.name not in {"body", "headers", "traceback"}]
    query = select(*columns).where(wanted.condition()).order_by(table.id.desc()).limit(limit)
    if before is not None:
        query = query.where(table.id < before)
    return connection.execute(query).all()


def causes(connection: Connection, wanted: Filter) -> Sequence[Row[Any]]:
    """Return (cause, type, count, oldest, newest) of matching dead letters, most frequent first."""
    table = DEAD_LETTERS.c
    count = func.count().label("count")
    return connection.execute(
        select(
            table.cause,
            table.type,
            count,
            func.min(table.died_at).label("oldest"),
            func.max(table.died_at).label("newest"),
        )
        .where(wanted.condition())
        .group_by(table.cause, table.type)
        .order_by(count.desc())
    ).all()


def get(connection: Connection, dead_letter_id: UUID) -> Row[Any] | None:
    """Return one dead letter whole, or None."""
    return connection.execute(select(DEAD_LETTERS).where(DEAD_LETTERS.c.id == dead_letter_id)).first()


def replayable(connection: Connection, wanted: Filter, *, at_most: int = AT_ONCE) -> list[UUID]:
    """Return the ids of matching dead letters that a replay would send, oldest first."""
    return _ids(connection, and_(wanted.condition(), _CAN_BE_REPLAYED), at_most)


def discardable(connection: Connection, wanted: Filter, *, at_most: int = AT_ONCE) -> list[UUID]:
    """Return the ids of matching dead letters that a discard would close, oldest first."""
    return _ids(connection, and_(wanted.condition(), DEAD_LETTERS.c.status == OPEN), at_most)


def _ids(connection: Connection, condition: ColumnElement[bool], at_most: int) -> list[UUID]:
    table = DEAD_LETTERS.c
    query = select(table.id).where(condition).order_by(table.id).limit(at_most)
    return list(connection.execute(query).scalars())


def replay(connection: Connection, service: str, ids: Sequence[UUID], *, by: str, reason: str) -> list[UUID]:
    """Send open dead letters back to the queue they came from, in the caller's transaction; return which.

    One that could not leave its own service tries to leave again. A forged one stays as it is.

    The message keeps its id, so one that was handled meanwhile has no second effect.
    """
    table = DEAD_LETTERS.c
    rows = connection.execute(
        select(DEAD_LETTERS).where(table.id.in_(ids), _CAN_BE_REPLAYED).order_by(table.id).with_for_update()
    ).all()
    if rows:
        connection.execute(insert(OUTBOX), [_outbox_row(service, row) for row in rows])
        connection.execute(text(WAKE_THE_RELAY))
    return _resolve(connection, [row.id for row in rows], REPLAYED, by, reason)


def discard(connection: Connection, ids: Sequence[UUID], *, by: str, reason: str) -> list[UUID]:
    """Close open dead letters without an effect, in the caller's transaction; return which."""
    return _resolve(connection, ids, DISCARDED, by, reason)


def _resolve(connection: Connection, ids: Sequence[UUID], status: str, by: str, reason: str) -> list[UUID]:
    table = DEAD_LETTERS.c
    changed = connection.execute(
        update(DEAD_LETTERS)
        .where(table.id.in_(ids), table.status == OPEN)
        .values(status=status, resolved_at=func.now(), resolved_by=by, resolution=reason)
        .returning(table.id)
    )
    return list(changed.scalars())


def close_handled(connection: Connection) -> int:
    """Close the open dead letters whose message was handled meanwhile; return how many."""
    table = DEAD_LETTERS.c
    closed = connection.execute(
        update(DEAD_LETTERS)
        .where(table.status == OPEN, table.message_id.in_(select(INBOX.c.message_id)))
        .values(
            status=HANDLED, resolved_at=func.now(), resolved_by="orderflow", resolution="handled meanwhile"
        )
    )
    return closed.rowcount


def _outbox_row(service: str, row: Row[Any]) -> dict[str, Any]:
    exchange, routing_key = _way_back(service, row)
    # The body was opened when it arrived; what could not be opened then must not be opened in our name.
    headers = {
        key: value for key, value in row.headers.items() if not key.startswith("x-") and key != "compression"
    }
    return {
        "id": uuid7(),
        "type": row.type or "unreadable",
        "subject": row.subject or "",
        "correlation_id": row.correlation_id or row.id,
        "exchange": exchange,
        "routing_key": routing_key,
        "body": row.body,
        "headers": {**headers, "retries": 0},
    }


def _way_back(service: str, row: Row[Any]) -> tuple[str, str]:
    if row.queue == FROM_OUTBOX:
        return row.headers["x-dead-exchange"], row.headers["x-dead-routing-key"]
    queue = PAYMENT_CALLS if row.queue == PAYMENT_CALLS.name else work_queue(service)
    return queue.exchange, queue.returns_by


def bury_outbox_row(
    connection: Connection, service: str, row: Row[Any], headers: dict[str, Any], cause: str, reason: str
) -> None:
    """Turn an outbox row that cannot leave into a dead letter, in the caller's transaction.

    It came from no queue: a replay sends it where it was going.
    """
    headers = {
        **headers,
        "x-dead-queue": FROM_OUTBOX,
        "x-dead-exchange": row.exchange,
        "x-dead-routing-key": row.routing_key,
    }
    delivery = Delivery(
        bytes(row.body), headers, "application/json", "utf-8", service, row.exchange, row.routing_key
    )
    bury(connection, service, [(delivery, cause, reason)])


def bury(connection: Connection, service: str, dead: Sequence[tuple[Delivery, str, str]]) -> None:
    """Write dead letters: (delivery, cause, reason) each. A message that is open already is not written twice."""
    rows = [_row(service, *each) for each in dead]
    if rows:
        connection.execute(insert(DEAD_LETTERS).on_conflict_do_nothing(), rows)


def _row(service: str, delivery: Delivery, cause: str, reason: str) -> dict[str, Any]:
    """Return a row that PostgreSQL takes, whatever the message is: one bad letter must not stop the rest."""
    envelope = _envelope(delivery)
    headers = delivery.headers
    # An id that a forger wrote is another message's: it must neither hide that one's letter nor share its fate.
    message_id = envelope.id if envelope and cause != FORGED else None
    return {
        "id": uuid7(),
        "message_id": message_id,
        "type": _clean(envelope.type if envelope else headers.get("task")),
        "source": _clean(envelope.source if envelope else headers.get("x-dead-user")),
        "subject": _clean(envelope.subject if envelope else None),
        "correlation_id": envelope.correlation_id if envelope else None,
        "queue": _clean(headers.get("x-dead-queue")) or service,
        "cause": _clean(cause),
        "reason": _clean(reason, 2_000),
        "traceback": _clean(headers.get("x-dead-traceback"), 20_000) or "",
        "attempts": whole(headers.get("x-dead-attempts")),
        "body": delivery.body,
        "headers": _jsonable(headers),
        "died_at": _time(headers.get("x-dead-at")),
    }


def _envelope(delivery: Delivery) -> Envelope | None:
    try:
        return open_envelope(delivery)
    except Unreadable:
        return None


def _clean(value: Any, most: int = 200) -> str | None:
    """Return text that PostgreSQL and its indexes take: not too long, without NUL and lone surrogates."""
    if value is None:
        return None
    text_of_it = str(value)[:most].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text_of_it.encode("utf-8", "replace").decode()


def _time(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return datetime.now(UTC)


def _jsonable(value: Any) -> Any:
    """Return what JSONB takes of a header: names and texts clean, numbers finite, all else as text."""
    if isinstance(value, dict):
        return {str(_clean(name)): _jsonable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in value]
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value)):
        return value
    return _clean(value, 20_000)
