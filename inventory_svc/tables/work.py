"""How the rows of Inventory are locked, loaded and saved, for many messages at once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row, bindparam, select, text

from inventory_svc.domain import Details, Movement, Product, Reservation, Shelves, Status, Stock
from inventory_svc.tables.columns import PRODUCTS
from shared_events.contract import Message
from shared_events.contracts.values import Line, Money, Shortage
from shared_events.statements import run
from shared_events.work import UnitOfWork
from shared_events.writes import over_rows

Values = dict[str, Any]
T = TypeVar("T")


class InventoryWork(UnitOfWork, Shelves):
    """Shelves filled with the locked rows of one transaction; what changed on them is written by `flush`."""

    service = "inventory"

    def __init__(self, connection: Connection) -> None:
        UnitOfWork.__init__(self, connection)
        Shelves.__init__(self)
        self._stored: dict[tuple[type, object], tuple[Any, ...]] = {}

    def lock(self, messages: Sequence[Message]) -> None:
        """Lock the reservations of these messages' orders, then the stock of every SKU they are about.

        Always in this order, and each sorted by its key, so that two batches never wait for each other.
        """
        orders = {each.order_id for each in messages if hasattr(each, "order_id")}
        held = self._lock_reservations(sorted(orders - self.reservations.keys()))
        self.lock_stock({line.sku for each in messages for line in getattr(each, "lines", ())} | held)

    def lock_stock(self, skus: Iterable[str]) -> None:
        """Lock the stock of these SKUs; an unknown one stays missing."""
        wanted = sorted(set(skus) - self.stock.keys())
        if wanted:
            found = run(self.connection, _LOCK_STOCK, {"skus": wanted})
            self._take(self.stock, {row.sku: Stock(row.sku, row.on_hand, row.reserved) for row in found})

    def lock_product(self, sku: str) -> Product | None:
        """Lock an entry of the catalogue, even one that does not exist yet; return it if it does."""
        self.connection.execute(_LOCK_SKU, {"sku": sku})
        found = self.connection.execute(_PRODUCT, {"sku": sku})
        self._take(self.products, {row.sku: _product(row) for row in found})
        return self.products.get(sku)

    def products_after(self, sku: str, limit: int) -> list[Product]:
        """Return the next products in the order of their SKUs, only to be read."""
        found = self.connection.execute(_PRODUCTS_AFTER, {"sku": sku, "size": limit})
        return [_product(row) for row in found]

    def flush(self) -> None:
        """Hand over what is new and what has changed, as one statement per table and kind."""
        new, changed = self._unsaved(self.products)
        self._write(_SAVE_PRODUCTS, _product_row, [*new, *changed])
        new_stock, changed_stock = self._unsaved(self.stock)
        self._write(_INSERT_STOCK, _stock_row, new_stock)
        self._write(_UPDATE_STOCK, _stock_row, changed_stock)
        made, decided = self._unsaved(self.reservations)
        self._write(_INSERT_RESERVATIONS, _reservation_row, made)
        self._write(_INSERT_LINES, _line_row, [(each.order_id, line) for each in made for line in each.lines])
        self._write(_UPDATE_RESERVATIONS, _reservation_row, decided)
        self._write(_INSERT_MOVEMENTS, _movement_row, self.movements)
        self.movements.clear()

    def _lock_reservations(self, orders: list[UUID]) -> set[str]:
        """Lock these orders' reservations; return the SKUs of their lines."""
        if not orders:
            return set()
        found = run(self.connection, _LOCK_RESERVATIONS, {"orders": orders})
        reservations = {row.order_id: _reservation(row) for row in found}
        if reservations:
            # Only now: a line may have been written while this waited for the lock.
            for row in run(self.connection, _LINES, {"orders": list(reservations)}):
                reservations[row.order_id].lines += (Line(row.sku, row.quantity),)
        self._take(self.reservations, reservations)
        return {line.sku for each in reservations.values() for line in each.lines}

    def _take(self, shelf: dict[Any, T], found: dict[Any, T]) -> None:
        """Put what was read on its shelf, and keep its values to see what changes."""
        shelf.update(found)
        self._stored.update(((type(thing), key), _values(thing)) for key, thing in found.items())

    def _unsaved(self, shelf: dict[Any, T]) -> tuple[list[T], list[T]]:
        """Return what is new on a shelf and what has changed, sorted by key; it counts as stored."""
        new: list[T] = []
        changed: list[T] = []
        for key, thing in sorted(shelf.items()):
            before, values = self._stored.get((type(thing), key)), _values(thing)
            if before != values:
                (new if before is None else changed).append(thing)
                self._stored[type(thing), key] = values
        return new, changed

    def _write(self, statement: str, row: Callable[[T], Values], things: Sequence[T]) -> None:
        self.write(statement, [row(thing) for thing in things])


_READERS = {
    kind: attrgetter(*(field.name for field in fields(kind))) for kind in (Product, Stock, Reservation)
}


def _values(thing: Any) -> tuple[Any, ...]:
    """Return what a thing on a shelf is made of."""
    values: tuple[Any, ...] = _READERS[type(thing)](thing)
    return values


_LOCK_RESERVATIONS = """
    SELECT order_id, status, shortages FROM reservations WHERE order_id = ANY(%(orders)s::uuid[])
    ORDER BY order_id FOR NO KEY UPDATE
"""
_LINES = """
    SELECT order_id, sku, quantity FROM reservation_lines WHERE order_id = ANY(%(orders)s::uuid[])
    ORDER BY order_id, sku
"""
_LOCK_STOCK = """
    SELECT sku, on_hand, reserved FROM stock WHERE sku = ANY(%(skus)s::text[]) ORDER BY sku FOR NO KEY UPDATE
"""
_LOCK_SKU = text("SELECT pg_advisory_xact_lock(hashtextextended('product:' || :sku, 0))")
_PRODUCT = select(PRODUCTS).where(PRODUCTS.c.sku == bindparam("sku"))
_PRODUCTS_AFTER = (
    select(PRODUCTS)
    .where(PRODUCTS.c.sku > bindparam("sku"))
    .order_by(PRODUCTS.c.sku)
    .limit(bindparam("size"))
)

_PRODUCT_ROWS = (
    "sku text, name text, description text, price_amount bigint, currency text, active boolean, version int,"
    " external_version bigint"
)
_STOCK_ROWS = "sku text, on_hand bigint, reserved bigint"
_RESERVATION_ROWS = "order_id uuid, status text, shortages jsonb, hold_s float8"
_LINE_ROWS = "order_id uuid, sku text, quantity bigint"
_MOVEMENT_ROWS = "id uuid, sku text, kind text, quantity bigint, cause text, order_id uuid"

_SAVE_PRODUCTS = over_rows(
    _PRODUCT_ROWS,
    """
    INSERT INTO products (sku, name, description, price_amount, currency, active, version, external_version)
    SELECT * FROM {rows}
    ON CONFLICT (sku) DO UPDATE
    SET name = excluded.name, description = excluded.description, price_amount = excluded.price_amount,
        currency = excluded.currency, active = excluded.active, version = excluded.version,
        external_version = excluded.external_version,
        updated_at = CASE WHEN products.version = excluded.version THEN products.updated_at ELSE now() END
""",
)
_INSERT_STOCK = over_rows(_STOCK_ROWS, "INSERT INTO stock (sku, on_hand, reserved) SELECT * FROM {rows}")
_UPDATE_STOCK = over_rows(
    _STOCK_ROWS,
    """
    UPDATE stock SET on_hand = new.on_hand, reserved = new.reserved FROM {rows}
    WHERE stock.sku = new.sku
""",
)
_INSERT_RESERVATIONS = over_rows(
    _RESERVATION_ROWS,
    """
    INSERT INTO reservations (order_id, status, shortages, hold_until)
    SELECT order_id, status, shortages, now() + make_interval(secs => hold_s) FROM {rows}
""",
)
_UPDATE_RESERVATIONS = over_rows(
    _RESERVATION_ROWS,
    """
    UPDATE reservations
    SET status = new.status, updated_at = now(),
        hold_until = coalesce(now() + make_interval(secs => new.hold_s), reservations.hold_until)
    FROM {rows} WHERE reservations.order_id = new.order_id
""",
)
_INSERT_LINES = over_rows(
    _LINE_ROWS, "INSERT INTO reservation_lines (order_id, sku, quantity) SELECT * FROM {rows}"
)
_INSERT_MOVEMENTS = over_rows(
    _MOVEMENT_ROWS,
    """
    INSERT INTO stock_movements (id, sku, kind, quantity, cause, order_id) SELECT * FROM {rows}
""",
)


def _product(row: Row[Any]) -> Product:
    details = Details(row.name, row.description, Money(row.price_amount, row.currency), row.active)
    return Product(row.sku, details, row.version, row.external_version)


def _product_row(product: Product) -> Values:
    its = product.details
    return {
        "sku": product.sku,
        "name": its.name,
        "description": its.description,
        "price_amount": its.price.amount,
        "currency": its.price.currency,
        "active": its.active,
        "version": product.version,
        "external_version": product.external_version,
    }


def _stock_row(stock: Stock) -> Values:
    return {"sku": stock.sku, "on_hand": stock.on_hand, "reserved": stock.reserved}


def _reservation(row: Row[Any]) -> Reservation:
    shortages = msgspec.convert(row.shortages or [], tuple[Shortage, ...])
    return Reservation(row.order_id, Status(row.status), shortages=shortages)


def _reservation_row(reservation: Reservation) -> Values:
    shortages = reservation.shortages
    return {
        "order_id": reservation.order_id,
        "status": reservation.status.value,
        "shortages": shortages or None,
        "hold_s": reservation.hold_s,
    }


def _line_row(of_order: tuple[UUID, Line]) -> Values:
    order_id, line = of_order
    return {"order_id": order_id, "sku": line.sku, "quantity": line.quantity}


def _movement_row(movement: Movement) -> Values:
    return {
        "id": movement.id,
        "sku": movement.sku,
        "kind": movement.kind.value,
        "quantity": movement.quantity,
        "cause": movement.cause,
        "order_id": movement.order_id,
    }
