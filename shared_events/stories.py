"""What one service did for one journey (an order): handled, waiting to leave, dead. `order ID` is made of these."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, literal_column, select

from shared_events.tables import DEAD_LETTERS, INBOX, OUTBOX


def story(connection: Connection, service: str, correlation_id: UUID) -> list[dict[str, Any]]:
    """Return the service's part of a journey, oldest first.

    Each entry has `service, state, message_id, type, source, causation_id, sent_at, at, attempts, detail`;
    `state` is `handled`, `waiting` (in the outbox), or a dead letter's status. Times are UTC; `sent_at` is when
    the message was due to leave, `at` when the state began.
    """
    handled = select(INBOX, literal_column("'handled'").label("state")).where(
        INBOX.c.correlation_id == correlation_id
    )
    waiting = select(OUTBOX).where(OUTBOX.c.correlation_id == correlation_id)
    dead = select(DEAD_LETTERS).where(DEAD_LETTERS.c.correlation_id == correlation_id)
    entries = [
        *(_handled(service, row) for row in connection.execute(handled)),
        *(_waiting(service, row) for row in connection.execute(waiting)),
        *(_dead(service, row) for row in connection.execute(dead)),
    ]
    return sorted(entries, key=lambda entry: (entry["at"], str(entry["message_id"])))


def _handled(service: str, row: Row[Any]) -> dict[str, Any]:
    return {
        "service": service,
        "state": "handled",
        "message_id": row.message_id,
        "type": row.type,
        "source": row.source,
        "causation_id": row.causation_id,
        "sent_at": row.sent_at,
        "at": row.handled_at,
        "attempts": row.attempts,
        "detail": "",
    }


def _waiting(service: str, row: Row[Any]) -> dict[str, Any]:
    return {
        "service": service,
        "state": "waiting",
        "message_id": row.id,
        "type": row.type,
        "source": service,
        "causation_id": row.causation_id,
        "sent_at": row.available_at,
        "at": row.created_at,
        "attempts": 0,
        "detail": f"leaves for {row.exchange} at {row.available_at:%H:%M:%S} UTC",
    }


def _dead(service: str, row: Row[Any]) -> dict[str, Any]:
    return {
        "service": service,
        "state": row.status,
        "message_id": row.message_id,
        "type": row.type,
        "source": row.source,
        "causation_id": None,
        "sent_at": None,
        "at": row.died_at,
        "attempts": row.attempts,
        "detail": f"dead letter: {row.cause}: {row.reason}",
    }
