"""The stored answers of idempotency keys: one row each, written in the transaction of the effect itself.

shared_events/pruning.py deletes them after 24 hours.
"""

from dataclasses import asdict, dataclass

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

METADATA = MetaData()

IDEMPOTENCY_KEYS = Table(
    "idempotency_keys",
    METADATA,
    Column("subject", Text, primary_key=True),
    Column("method", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False, comment="SHA-256 of the body"),
    Column("status", Integer, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
Index("idempotency_keys_created_at", IDEMPOTENCY_KEYS.c.created_at, postgresql_using="brin")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a key is unique in: the caller, the method and the path."""

    subject: str
    method: str
    path: str
    key: str


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer as it was given the first time, and the fingerprint of the body that it answered."""

    fingerprint: bytes
    status: int
    headers: dict[str, str]
    body: bytes


_KEY = ("subject", "method", "path", "key")
_ADD = insert(IDEMPOTENCY_KEYS).on_conflict_do_nothing().returning(IDEMPOTENCY_KEYS.c.key)
_FIND = select(
    *(IDEMPOTENCY_KEYS.c[name] for name in ("fingerprint", "status", "headers", "body")),
).where(*(IDEMPOTENCY_KEYS.c[name] == bindparam(name) for name in _KEY))


def add(connection: Connection, scope: Scope, stored: Stored) -> bool:
    """Write the row; return False if there is one already.

    PostgreSQL waits here for another transaction that is writing the same key, so two can never both pass.
    """
    written = connection.execute(_ADD, {**asdict(scope), **asdict(stored)})
    return written.first() is not None


def find(connection: Connection, scope: Scope) -> Stored | None:
    """Return the stored answer, if there is one."""
    row = connection.execute(_FIND, asdict(scope)).one_or_none()
    return Stored(bytes(row.fingerprint), row.status, row.headers, bytes(row.body)) if row else None
