"""The inbox: a message id is claimed in the transaction of its effect, so a second delivery has none.

That alone decides about duplicates on the bus. The rows are also the service's part of an order's story.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from shared_events.contract import Envelope
from shared_events.statements import run
from shared_events.writes import Values, as_rows, over_rows

_ROWS = "id uuid, type text, source text, correlation_id uuid, causation_id uuid, sent_at timestamptz, attempts int"
_CLAIM = over_rows(
    _ROWS,
    """
    INSERT INTO inbox (message_id, type, source, correlation_id, causation_id, sent_at, attempts)
    SELECT * FROM {rows} ON CONFLICT DO NOTHING RETURNING message_id
""",
)


def claim(connection: Connection, envelopes: Sequence[tuple[Envelope, int]]) -> set[UUID]:
    """Claim each (envelope, attempt number); return the ids that nobody had claimed before.

    The ids are claimed in sorted order, so that two batches with the same ids wait and never deadlock.
    """
    ordered = sorted(envelopes, key=lambda pair: pair[0].id)
    rows = [_row(envelope, attempts) for envelope, attempts in ordered]
    return {row[0] for row in run(connection, _CLAIM, as_rows(rows))}


def _row(envelope: Envelope, attempts: int) -> Values:
    return {
        "id": envelope.id,
        "type": envelope.type,
        "source": envelope.source,
        "correlation_id": envelope.correlation_id,
        "causation_id": envelope.causation_id,
        "sent_at": envelope.time,
        "attempts": attempts,
    }
