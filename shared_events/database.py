"""Connections to a service's PostgreSQL, bounded in number and in time."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import msgspec
import psycopg
import sqlalchemy
from psycopg.abc import PQGen
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection, Engine, event

from shared_events.work import UnitOfWork

W = TypeVar("W", bound=UnitOfWork)
T = TypeVar("T")

LOST = (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError, psycopg.Error)
"""What is raised when the database is away, or too slow for the pool; a driver used bare raises its own errors."""

# No state at all: the connection broke. The rest: shutting down, crashed, starting, too many connections,
# no disk, no memory, and read-only after a failover.
_AWAY = {None, "57P01", "57P02", "57P03", "53300", "53100", "53200", "25006"}
_OPTIONS = " ".join(
    f"-c {setting}"
    for setting in (
        "statement_timeout=10s",
        "lock_timeout=5s",
        "idle_in_transaction_session_timeout=15s",
        "jit=off",
        "timezone=UTC",
    )
)

# A plan made while a table was empty must still be right when it holds a million rows; and a bitmap scan, which is
# what an empty table gets, never marks the index entries of deleted rows, and so reads them again each time.
_KEYED = "".join(
    f" -c {setting}"
    for setting in (
        "plan_cache_mode=force_generic_plan",
        "enable_seqscan=off",
        "enable_bitmapscan=off",
        "enable_hashjoin=off",
        "enable_mergejoin=off",
    )
)

ANSWER_WITHIN_S = 12.0
"""How long we wait for the server's answer: longer than `statement_timeout`, with which it ends a statement itself.

A server that is frozen, or whose machine hangs with its connections up, ends nothing; nor does TCP notice.
"""


class _Bounded(psycopg.Connection[Any]):
    """A connection that gives up on a server that does not answer; then it is closed."""

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait for the server's answer (psycopg does all its waiting here). Raises OperationalError."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        until = time.monotonic() + ANSWER_WITHIN_S
        try:
            return super().wait(gen, interval, ANSWER_WITHIN_S)
        except psycopg.OperationalError as error:
            if time.monotonic() < until:
                raise
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer within {ANSWER_WITHIN_S:g} s") from error


def engine(url: str, *, pool_size: int, process: str, durable: bool = True, keyed: bool = False) -> Engine:
    """Return an engine of at most `pool_size` connections, each with time-outs on connecting and on statements.

    `process` is shown in `pg_stat_activity`. No connection is made before the first use, so an engine may be
    made before a fork. Without `durable` a crash of the server may take back the last commits: only for work
    that is repeated without harm, and after which nothing is acknowledged. `keyed`: rows are found by their keys
    alone, so each statement is planned once, by its indexes; a partial index would not be found so by a
    parameter's value.
    """
    options = _OPTIONS
    options += "" if durable else " -c synchronous_commit=off"
    options += _KEYED if keyed else ""
    made = sqlalchemy.create_engine(
        sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=3,
        json_deserializer=msgspec.json.decode,
        connect_args={
            "connect_timeout": 3,
            "options": options,
            "application_name": process,
            "keepalives_idle": 10,
            "keepalives_interval": 3,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
        },
    )

    @event.listens_for(made, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> _Bounded:
        return _Bounded.connect(*arguments, **options)

    return made


class Kept:
    """One connection that stays open, for what runs many times a second.

    Outside `transaction` each statement is one of its own. A statement costs far less than one through the engine's
    pool. An error gives the connection up; the next statement opens another.
    """

    def __init__(self, source: Engine) -> None:
        self._engine = source
        self._connection: Connection | None = None
        self._listens = False

    def query(self, statement: str, values: Mapping[str, Any] | None = None) -> list[Any]:
        """Run a statement that returns rows; return them as named tuples. Raises what is in LOST."""
        with self._given_up_on_error(), self._driver().cursor(row_factory=namedtuple_row) as cursor:
            rows: list[Any] = cursor.execute(statement, values).fetchall()
            return rows

    def execute(self, statement: str, values: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns nothing. Raises what is in LOST; inside `transaction` perhaps at its end."""
        with self._given_up_on_error():
            self._driver().execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Let the statements inside, ours and those of what is given, be one transaction. Raises what is in LOST.

        No pipeline: the server does not see that one that waits is idle, and would leave a frozen process its locks.
        """
        with self._given_up_on_error(), self._driver().transaction():
            yield cast("Connection", self._connection)

    def notified(self, channel: str, within_s: float) -> bool:
        """Wait for a notification; False if none came in time. True at once where it did not yet listen."""
        if self._connection is None or not self._listens:
            self.execute(f"LISTEN {channel}")
            self._listens = True
            return True
        with self._given_up_on_error():
            driver = self._driver()
            came = any(True for _ in driver.notifies(timeout=within_s, stop_after=1))
            for _ in driver.notifies(timeout=0):
                pass  # one look finds what all of them were about
            return came

    @contextmanager
    def _given_up_on_error(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection up."""
        connection, self._connection, self._listens = self._connection, None, False
        if connection is not None:
            drop(connection)

    def _driver(self) -> Any:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        return self._connection.connection.driver_connection


@contextmanager
def transaction(source: Engine, work: Callable[[Connection], W]) -> Iterator[W]:
    """Give a unit of work; on leaving, write and commit it and its messages, or nothing if an error is raised."""
    with source.begin() as connection:
        unit = work(connection)
        yield unit
        unit.complete()


def drop(connection: Connection) -> None:
    """Close a connection that may be broken; nobody uses it again."""
    connection.invalidate()
    connection.close()


def is_lost(error: BaseException) -> bool:
    """Say whether an error means that the database could not be reached or dropped the connection."""
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return True
    return isinstance(error, sqlalchemy.exc.DBAPIError) and (
        error.connection_invalidated
        or (
            getattr(error.orig, "sqlstate", None) in _AWAY
            and isinstance(error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InternalError)
        )
    )
