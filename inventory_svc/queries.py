"""What Inventory's API reads."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select

from inventory_svc.tables import PRODUCTS, STOCK, STOCK_MOVEMENTS
from shared_http.paging import Page, fetch_page

_PRODUCTS = select(PRODUCTS, (STOCK.c.on_hand - STOCK.c.reserved).label("available")).join(STOCK)


def product(connection: Connection, sku: str) -> dict[str, Any] | None:
    """Return a product as the API shows it, or None."""
    row = connection.execute(_PRODUCTS.where(PRODUCTS.c.sku == sku)).one_or_none()
    return None if row is None else shown_product(row)


def products(
    connection: Connection,
    *,
    sku: Sequence[str],
    updated_since: datetime | None,
    limit: int,
    cursor: str | None,
) -> Page:
    """Return a page of products in the order of their SKUs; `sku` names those that are wanted."""
    statement = _PRODUCTS
    if sku:
        statement = statement.where(PRODUCTS.c.sku.in_(sku))
    if updated_since is not None:
        statement = statement.where(PRODUCTS.c.updated_at >= updated_since)
    by = (PRODUCTS.c.sku,)
    return fetch_page(connection, statement, by, limit=limit, cursor=cursor, newest_first=False)


def movement(connection: Connection, movement_id: UUID) -> dict[str, Any]:
    """Return an entry of the ledger as the API shows it."""
    return shown_movement(
        connection.execute(select(STOCK_MOVEMENTS).where(STOCK_MOVEMENTS.c.id == movement_id)).one()
    )


def movements(connection: Connection, sku: str, *, limit: int, cursor: str | None) -> Page | None:
    """Return a page of a SKU's ledger, newest first; None for an unknown SKU."""
    if connection.execute(select(STOCK.c.sku).where(STOCK.c.sku == sku)).first() is None:
        return None
    statement = select(STOCK_MOVEMENTS).where(STOCK_MOVEMENTS.c.sku == sku)
    return fetch_page(connection, statement, (STOCK_MOVEMENTS.c.id,), limit=limit, cursor=cursor)


def shown_product(row: Row[Any]) -> dict[str, Any]:
    """Return a row of products with their stock as the API shows it."""
    same = ("sku", "name", "description", "active", "available", "version", "updated_at")
    price = {"amount": row.price_amount, "currency": row.currency}
    return {"price": price, **{name: row._mapping[name] for name in same}}


def shown_movement(row: Row[Any]) -> dict[str, Any]:
    """Return a row of the ledger as the API shows it."""
    return dict(row._mapping)
