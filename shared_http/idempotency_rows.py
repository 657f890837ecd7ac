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
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError

from shared_events.statements import run
from shared_events.work import UnitOfWork
from shared_events.writes import Values, as_rows, over_rows

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
_INSERT = over_rows(
    "subject text, method text, path text, key text, fingerprint text, status int, headers jsonb, body text",
    """
    INSERT INTO idempotency_keys (subject, method, path, key, fingerprint, status, headers, body)
    SELECT subject, method, path, key, decode(fingerprint, 'hex'), status, headers, convert_to(body, 'UTF8')
    FROM {rows}
    """,
)
_UNIQUE = "idempotency_keys_pkey"
_FIND = select(
    *(IDEMPOTENCY_KEYS.c[name] for name in ("fingerprint", "status", "headers", "body")),
).where(*(IDEMPOTENCY_KEYS.c[name] == bindparam(name) for name in _KEY))


def add(connection: Connection, scope: Scope, stored: Stored) -> bool:
    """Write the row; return False if there is one already.

    PostgreSQL waits here for another transaction that is writing the same key, so two can never both pass.
    """
    return bool(
        run(connection, _INSERT + " ON CONFLICT DO NOTHING RETURNING key", as_rows([_row(scope, stored)]))
    )


def add_with(work: UnitOfWork, scope: Scope, stored: Stored) -> None:
    """Let the row leave with what the work writes; if there is one already, all of that fails (`is_taken`)."""
    work.write(_INSERT, [_row(scope, stored)])


def is_taken(error: IntegrityError) -> bool:
    """Say whether this is what `add_with` leads to when the key has a row already."""
    diagnosis = getattr(error.orig, "diag", None)
    return getattr(diagnosis, "constraint_name", None) == _UNIQUE


def _row(scope: Scope, stored: Stored) -> Values:
    return {
        "subject": scope.subject,
        "method": scope.method,
        "path": scope.path,
        "key": scope.key,
        "fingerprint": stored.fingerprint.hex(),
        "status": stored.status,
        "headers": stored.headers,
        "body": stored.body.decode(),
    }


def find(connection: Connection, scope: Scope) -> Stored | None:
    """Return the stored answer, if there is one."""
    row = connection.execute(_FIND, asdict(scope)).one_or_none()
    return Stored(bytes(row.fingerprint), row.status, row.headers, bytes(row.body)) if row else None
