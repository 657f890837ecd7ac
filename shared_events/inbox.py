"""The inbox: a message id is claimed in the transaction of its effect, so a second delivery has none.

That alone decides about duplicates on the bus. The rows are also the service's part of an order's story.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from shared_events.contract import Envelope

_CLAIM = """
    INSERT INTO inbox (message_id, type, source, correlation_id, causation_id, sent_at, attempts)
    SELECT * FROM unnest(%(id)s::uuid[], %(type)s::text[], %(source)s::text[], %(correlation_id)s::uuid[],
                         %(causation_id)s::uuid[], %(time)s::timestamptz[], %(attempts)s::int[])
    ON CONFLICT DO NOTHING
    RETURNING message_id
"""


def claim(connection: Connection, envelopes: Sequence[tuple[Envelope, int]]) -> set[UUID]:
    """Claim each (envelope, attempt number); return the ids that nobody had claimed before.

    The ids are claimed in sorted order, so that two batches with the same ids wait and never deadlock.
    """
    ordered = sorted(envelopes, key=lambda pair: pair[0].id)
    names = ("id", "type", "source", "correlation_id", "causation_id", "time")
    columns: dict[str, list[object]] = {
        name: [getattr(envelope, name) for envelope, _ in ordered] for name in names
    }
    columns["attempts"] = [attempts for _, attempts in ordered]
    return {row[0] for row in connection.exec_driver_sql(_CLAIM, columns)}
