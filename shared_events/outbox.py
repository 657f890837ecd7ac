"""The outbox: messages and timers that leave with the transaction that wrote them, or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from shared_events.contract import Envelope, Message, Timer, contract_of, encode, seal
from shared_events.handlers import Cancel, Later, Output
from shared_events.writes import Writes, over_rows

MESSAGES = "messages"
"""The topic exchange that carries commands, replies and facts between services."""

BODY_HEAD, BODY_TAIL = b"[[", b'],{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]'
"""What stands around the envelope in the body of a Celery task message (protocol 2)."""

_ROWS = (
    "id uuid, type text, subject text, correlation_id uuid, causation_id uuid, exchange text, routing_key text,"
    " timer_key text, body text, after_s float8"
)
_INSERT = over_rows(
    _ROWS,
    """
    INSERT INTO outbox (id, type, subject, correlation_id, causation_id, exchange, routing_key,
                        timer_key, body, available_at)
    SELECT id, type, subject, correlation_id, causation_id, exchange, routing_key,
           timer_key, convert_to(body, 'UTF8'), now() + make_interval(secs => after_s)
    FROM {rows}
""",
)
WAKE_THE_RELAY = "SELECT pg_notify('outbox', '') FROM relay_state WHERE asleep"
"""Ends every transaction that wrote messages. Only while the relay sleeps: a NOTIFY takes a global lock."""

# A timer that a relay has in hand is as good as gone: to wait for it would be to wait for the broker.
_CANCEL = """
    DELETE FROM outbox
    WHERE ctid = ANY(ARRAY(SELECT ctid FROM outbox WHERE timer_key = ANY(%(keys)s) FOR UPDATE SKIP LOCKED))
"""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An output, and the journey and parent message that it belongs to."""

    output: Output
    correlation_id: UUID
    causation_id: UUID | None = None
    traceparent: str | None = None


def celery_body(envelope: Envelope) -> bytes:
    """Return the body of a Celery task message (protocol 2) whose one argument is the envelope."""
    return BODY_HEAD + encode(envelope) + BODY_TAIL


def route(message: Message) -> tuple[str, str]:
    """Return (exchange, routing key): a timer stays inside its service, all else goes through `messages`."""
    its = contract_of(message)
    if its.kind is Timer:
        return f"{its.sent_by}.x", its.type
    return MESSAGES, its.type


def write(writes: Writes, outgoing: Sequence[Outgoing]) -> None:
    """Let every output leave with the caller's transaction.

    A Cancel deletes the timers that were set before it, in the outbox or here, and none that is set after it: a
    step that ends and begins anew in one transaction keeps its new timer.
    """
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = []
    keys: list[str] = []
    for each in outgoing:
        if isinstance(each.output, Cancel):
            key = each.output.key
            keys.append(key)
            rows = [row for row in rows if row["timer_key"] != key]
        else:
            rows.append(_row(each, each.output, now))
    if outgoing:
        writes.last = WAKE_THE_RELAY
    if keys:
        writes.add(_CANCEL, {"keys": keys})
    if rows:
        writes.add_rows(_INSERT, rows)


def _row(outgoing: Outgoing, output: Message | Later, now: datetime) -> dict[str, Any]:
    later = output if isinstance(output, Later) else Later(output, 0.0)
    envelope = seal(
        later.message,
        correlation_id=outgoing.correlation_id,
        causation_id=outgoing.causation_id,
        traceparent=outgoing.traceparent,
        now=now + timedelta(seconds=later.after_s),
    )
    exchange, routing_key = route(later.message)
    return {
        "id": envelope.id,
        "type": envelope.type,
        "subject": envelope.subject,
        "correlation_id": envelope.correlation_id,
        "causation_id": envelope.causation_id,
        "exchange": exchange,
        "routing_key": routing_key,
        "timer_key": later.key,
        "body": celery_body(envelope).decode(),
        "after_s": later.after_s,
    }
