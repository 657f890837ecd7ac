"""The three databases of a contender: made anew, filled with goods, and asked afterwards whether all is right."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from bench.contenders import Progress

SERVICES = ("orders", "inventory", "payments")
PRICE = 500
"""What each product costs, in cents."""

# Room in each page for the new versions of a row, so that no index has to be touched: rows change soon after they come.
_TABLES = {
    "orders": """
        CREATE TABLE orders (
            id uuid PRIMARY KEY,
            customer_id uuid NOT NULL,
            status text NOT NULL DEFAULT 'accepted',
            lines jsonb NOT NULL,
            amount bigint NOT NULL,
            currency text NOT NULL,
            payment_method text NOT NULL,
            shipping_address jsonb NOT NULL,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            completed_at timestamptz
        ) WITH (fillfactor = 70);
        CREATE TABLE products (sku text PRIMARY KEY, price bigint NOT NULL, currency text NOT NULL)
    """,
    "inventory": """
        CREATE TABLE stock (
            sku text PRIMARY KEY,
            on_hand bigint NOT NULL,
            reserved bigint NOT NULL DEFAULT 0 CHECK (reserved BETWEEN 0 AND on_hand)
        ) WITH (fillfactor = 50);
        CREATE TABLE reservations (
            order_id uuid, sku text, quantity bigint NOT NULL, state text NOT NULL DEFAULT 'held',
            PRIMARY KEY (order_id, sku)
        ) WITH (fillfactor = 70)
    """,
    "payments": """
        CREATE TABLE payments (
            order_id uuid PRIMARY KEY,
            amount bigint NOT NULL,
            currency text NOT NULL,
            status text NOT NULL,
            reference text NOT NULL,
            authorized_at timestamptz NOT NULL DEFAULT clock_timestamp()
        ) WITH (fillfactor = 70)
    """,
}

_PROGRESS = """
    SELECT count(*), count(*) FILTER (WHERE status = 'completed'), count(*) FILTER (WHERE status = 'refused')
    FROM orders
"""


_watching: dict[str, psycopg.Connection[tuple[Any, ...]]] = {}
"""The connections of those who are asked again and again: to open one costs more than the answer."""


def names(contender: str) -> dict[str, str]:
    """Return the name of each service's database."""
    return {service: f"bench_{contender.replace('-', '_')}_{service}" for service in SERVICES}


def system(contender: str) -> str:
    """Return the name of the database in which a contender keeps its own books, if it has any."""
    return f"bench_{contender.replace('-', '_')}_system"


def beside(url: str, name: str) -> str:
    """Return the URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def make_anew(admin_url: str, *databases: str) -> None:
    """Make these databases, empty. What is connected to them is thrown out."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        for each in map(sql.Identifier, databases):
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(each))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(each))


class Databases:
    """The databases of one contender, as the administrator sees them."""

    def __init__(self, admin_url: str, contender: str) -> None:
        self._admin_url = admin_url
        self._names = names(contender)

    def url(self, service: str) -> str:
        """Return the URL of a service's database."""
        return beside(self._admin_url, self._names[service])

    def make(self, skus: Sequence[str], pieces: int) -> None:
        """Make them anew, with so many pieces of each SKU at the same price."""
        with suppress(KeyError):
            _watching.pop(self.url("orders")).close()
        make_anew(self._admin_url, *self._names.values())
        for service, statements in _TABLES.items():
            with self._connection(service) as connection:
                connection.execute(statements)
        with self._connection("orders") as connection:
            connection.execute(
                "INSERT INTO products SELECT sku, %s, 'EUR' FROM unnest(%s::text[]) AS sku",
                [PRICE, list(skus)],
            )
            connection.execute("VACUUM (ANALYZE) products")
        with self._connection("inventory") as connection:
            connection.execute(
                "INSERT INTO stock SELECT sku, %s FROM unnest(%s::text[]) AS sku", [pieces, list(skus)]
            )
            connection.execute("VACUUM (ANALYZE) stock")

    def progress(self) -> Progress:
        """Return how many orders there are, are completed and are refused."""
        url = self.url("orders")
        if url not in _watching:
            _watching[url] = psycopg.connect(url, autocommit=True)
        row = _watching[url].execute(_PROGRESS).fetchone()
        return Progress(*row) if row else Progress(0, 0, 0)

    def seconds(self) -> list[float]:
        """Return how long each completed order took from its row in Orders to its row in Payments."""
        created = self._rows("orders", "SELECT id, created_at FROM orders WHERE status = 'completed'")
        authorized = dict(self._rows("payments", "SELECT order_id, authorized_at FROM payments"))
        return [
            (authorized[order_id] - at).total_seconds() for order_id, at in created if order_id in authorized
        ]

    def wrongs(self) -> list[str]:
        """Return what the three databases disagree about; all must be at rest."""
        return [*self._wrong_stock(), *self._wrong_orders()]

    def _wrong_stock(self) -> Iterator[str]:
        sold = {
            sku: int(quantity)
            for sku, quantity in self._rows(
                "orders",
                "SELECT line ->> 'sku', sum((line ->> 'quantity')::bigint)"
                " FROM orders, jsonb_array_elements(lines) AS line WHERE status = 'completed' GROUP BY 1",
            )
        }
        stock = self._rows("inventory", "SELECT sku, on_hand, reserved FROM stock")
        most = max((on_hand + sold.get(sku, 0) for sku, on_hand, _ in stock), default=0)
        for sku, on_hand, reserved in stock:
            if reserved:
                yield f"{sku}: {reserved} pieces are still reserved"
            if on_hand + sold.get(sku, 0) != most:
                yield f"{sku}: {most - on_hand} pieces left the shelf, {sold.get(sku, 0)} were sold"

    def _wrong_orders(self) -> Iterator[str]:
        payments = dict(self._rows("payments", "SELECT order_id, (status, amount)::text FROM payments"))
        for order_id, status, amount in self._rows("orders", "SELECT id, status, amount FROM orders"):
            paid = payments.pop(order_id, None)
            wanted = {"completed": f"(captured,{amount})", "refused": None}.get(status, "")
            if paid != wanted:
                yield f"order {order_id} is {status}, its payment {paid}"
        yield from (f"payment {paid} of no order {order_id}" for order_id, paid in payments.items())

    def _rows(self, service: str, statement: str) -> list[tuple[Any, ...]]:
        with self._connection(service) as connection:
            return connection.execute(statement.encode()).fetchall()

    @contextmanager
    def _connection(self, service: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        with psycopg.connect(self.url(service), autocommit=True) as connection:
            yield connection
