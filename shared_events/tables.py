"""The tables of messaging that every service's database has (made by migrations/messaging_v1.py)."""

from sqlalchemy import Boolean, Column, DateTime, Integer, LargeBinary, MetaData, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB

METADATA = MetaData()

_now = func.now()

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("id", Uuid, primary_key=True, comment="the message id"),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("correlation_id", Uuid, nullable=False),
    Column("causation_id", Uuid),
    Column("exchange", Text, nullable=False),
    Column("routing_key", Text, nullable=False),
    Column("timer_key", Text, comment="names a waiting timer, so that it can be cancelled"),
    Column("body", LargeBinary, nullable=False, comment="the whole AMQP body"),
    Column("headers", JSONB, comment="only of a replay: the headers that the message had"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("available_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column(
        "leased_until", DateTime(timezone=True), comment="written by relays of older releases; to be dropped"
    ),
)

INBOX = Table(
    "inbox",
    METADATA,
    Column("message_id", Uuid, primary_key=True),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("correlation_id", Uuid, nullable=False),
    Column("causation_id", Uuid),
    Column("sent_at", DateTime(timezone=True), nullable=False),
    Column("handled_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column("attempts", Integer, nullable=False, server_default="1"),
)

DEAD_LETTERS = Table(
    "dead_letters",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("message_id", Uuid, comment="null if the message had no readable id"),
    Column("type", Text),
    Column("source", Text),
    Column("subject", Text),
    Column("correlation_id", Uuid),
    Column("queue", Text, nullable=False, comment="the work queue it came from, and is replayed to"),
    Column("cause", Text, nullable=False, comment="the group: why, without particulars"),
    Column("reason", Text, nullable=False),
    Column("traceback", Text, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("body", LargeBinary, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("died_at", DateTime(timezone=True), nullable=False, server_default=_now),
    Column(
        "status", Text, nullable=False, server_default="open", comment="open, replayed, discarded, handled"
    ),
    Column("resolved_at", DateTime(timezone=True)),
    Column("resolved_by", Text),
    Column("resolution", Text, comment="why it was replayed or discarded"),
)

RELAY_STATE = Table(
    "relay_state",
    METADATA,
    Column("singleton", Boolean, primary_key=True, server_default="true"),
    Column("asleep", Boolean, nullable=False, comment="a relay waits to be notified"),
)
