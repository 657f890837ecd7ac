"""A long past: as many finished orders in the databases as wanted, made by SQL from one real order.

All rows of that order are copied, in every table of Orders, Inventory and Payments and in the provider's books, so that
the invariants hold for the copies too.
"""

import hashlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from bench.place import Place

_SERVICES = ("orders", "inventory", "payments")
_PIECE = 50_000
_DAY_MS = 86_400_000
_BELONGS = {
    "orders": "source.id = %(order)s::uuid",
    "idempotency_keys": "source.headers ->> 'Location' = '/v1/orders/' || %(order)s",
    "inbox": "source.correlation_id = %(order)s::uuid",
}
"""How a row is known to be one of the order's, where it is not by `order_id`."""

_MADE = """
    CREATE FUNCTION pg_temp.made(n bigint, old text) RETURNS uuid IMMUTABLE LANGUAGE sql AS $$
        SELECT (lpad(to_hex({begin} + n), 12, '0') || '7' || substr(md5(n || old), 1, 3)
                || '8' || substr(md5(n || old), 4, 15))::uuid
    $$
"""
_TEXTS = {
    ("orders", "idempotency_keys", "key"): "source.key || '-' || n",
    ("orders", "idempotency_keys", "headers"): "replace(source.headers::text, %(order)s, {new})::jsonb",
    ("orders", "idempotency_keys", "body"):
        "convert_to(replace(convert_from(source.body, 'UTF8'), %(order)s, {new}), 'UTF8')",
    ("payments", "intents", "provider_key"): "replace(source.provider_key, %(order)s, {new})",
    ("payments", "intents", "reference"): "source.reference || '-' || n",
}  # fmt: skip
"""What names the order, its key or its charge besides ids: Payments keeps the provider's reference."""
_NEW = "pg_temp.made(n, %(order)s)::text"
_KEPT = {"customer_id"}
"""Ids that the copies share."""

_COLUMNS = """
    SELECT table_name, column_name, data_type FROM information_schema.columns
    WHERE table_schema = 'public' AND is_identity = 'NO' AND is_generated = 'NEVER'
    ORDER BY table_name, ordinal_position
"""
_RECEIVED = """
    INSERT INTO stock_movements (id, sku, kind, quantity, cause)
    SELECT gen_random_uuid(), sku, 'receive', -sum(quantity) * %(copies)s, 'bench'
    FROM stock_movements WHERE order_id = %(order)s::uuid GROUP BY sku
"""


def made(begin_ms: int, n: int, old: str) -> str:
    """Return, as the SQL function does, the n-th copy's id for an id: ordered by time, as ours are."""
    digest = hashlib.md5(f"{n}{old}".encode(), usedforsecurity=False).hexdigest()
    return f"{begin_ms + n:012x}7{digest[:3]}8{digest[3:18]}"


def copy_finished(place: Place, copies: int) -> None:
    """Copy the last finished order so many times, and have the databases tidied (VACUUM, ANALYZE)."""
    with place.audit("orders") as orders:
        row = orders.execute(
            "SELECT id::text FROM orders WHERE status = 'completed' ORDER BY id DESC LIMIT 1"
        ).fetchone()
    if row is None:
        raise LookupError("there is no finished order to copy")
    order, begin = str(row[0]), int(time.time() * 1000) - _DAY_MS
    parts: list[Callable[[], None]] = [
        *(lambda service=service: _copy(place, service, order, begin, copies) for service in _SERVICES),
        lambda: _copy_charges(place, order, begin, copies),
    ]
    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(lambda part: part(), parts))


def _copy(place: Place, service: str, order: str, begin: int, copies: int) -> None:
    url = urlunsplit(urlsplit(place.access.postgres_admin_url)._replace(path=f"/{service}"))
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("SET session_replication_role = replica")  # what the copies refer to was copied too
        database.execute("SET synchronous_commit = off")
        database.execute(sql.SQL(_MADE).format(begin=begin))
        statements = _statements(service, database)
        for first in range(1, copies + 1, _PIECE):
            bounds = {"order": order, "first": first, "last": min(copies, first + _PIECE - 1)}
            for statement in statements:
                database.execute(statement, bounds)
        if service == "inventory":
            database.execute(_RECEIVED, {"order": order, "copies": copies})
        database.execute("VACUUM (ANALYZE)")  # as a database of that age would have been, long ago
        database.execute("CHECKPOINT")


def _statements(service: str, database: psycopg.Connection[tuple[object, ...]]) -> list[sql.SQL]:
    tables: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in database.execute(_COLUMNS):
        tables.setdefault(str(table), []).append((str(column), str(kind)))
    return [
        statement(service, table, columns)
        for table, columns in tables.items()
        if table in _BELONGS or any(name == "order_id" for name, _ in columns)
        if (service, table) not in {("inventory", "idempotency_keys"), ("payments", "idempotency_keys")}
    ]


def statement(service: str, table: str, columns: Sequence[tuple[str, str]]) -> sql.SQL:
    """Return what copies an order's rows of a table, for n from `first` to `last`; a column is a (name, type)."""
    names = ", ".join(name for name, _ in columns)
    values = ", ".join(_value(service, table, name, kind) for name, kind in columns)
    belongs = _BELONGS.get(table, "source.order_id = %(order)s::uuid")
    return sql.SQL(
        f"INSERT INTO {table} ({names}) SELECT {values} FROM"  # noqa: S608  names of our own tables
        f" generate_series(%(first)s::bigint, %(last)s::bigint) AS n, {table} AS source WHERE {belongs}"
    )


def _value(service: str, table: str, column: str, kind: str) -> str:
    given = _TEXTS.get((service, table, column))
    if given:
        return given.format(new=_NEW)
    if kind == "uuid" and column not in _KEPT:
        return f"pg_temp.made(n, source.{column}::text)"
    return f"source.{column}"


def _copy_charges(place: Place, order: str, begin: int, copies: int) -> None:
    """Write the copies into the provider's books, as it wrote the original."""
    with sqlite3.connect(place.data / "provider-simulator.db", timeout=60) as books:
        charge = books.execute(
            "SELECT reference, currency, method, authorized, held, captured, refunded FROM charges"
            " WHERE order_id = ?", (order,),
        ).fetchone()  # fmt: skip
        calls = books.execute(
            "SELECT operation, arguments, outcome, code, detail FROM calls WHERE reference = ?", (charge[0],)
        ).fetchall()
        books.executemany(
            "INSERT INTO charges (reference, order_id, currency, method, authorized, held, captured, refunded)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ((f"{charge[0]}-{n}", _dashed(made(begin, n, order)), *charge[1:]) for n in range(1, copies + 1)),
        )
        books.executemany(
            "INSERT INTO calls (key, operation, arguments, outcome, reference, code, detail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (f"{_dashed(made(begin, n, order))}:{call[0]}", *call[:3], f"{charge[0]}-{n}", *call[3:])
                for n in range(1, copies + 1)
                for call in calls
            ),
        )


def _dashed(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
