"""What Orders shows: read models for its API."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select

from orders_svc.domain import REPEATED, Order
from orders_svc.saga_engine import Engine
from orders_svc.tables import ORDER_ENTRIES, ORDERS
from shared_events.contract import contract_of
from shared_events.tables import OUTBOX
from shared_http.paging import Page, fetch_page


def find(connection: Connection, order_id: UUID) -> Row[Any] | None:
    """Return an order's row, or None."""
    return connection.execute(select(ORDERS).where(ORDERS.c.id == order_id)).first()


def page(connection: Connection, wanted: dict[str, Any], customer_id: UUID | None) -> Page:
    """Return one page of orders, newest first; of one customer unless `customer_id` is None."""
    table = ORDERS.c
    query = select(ORDERS)
    if customer_id is not None:
        query = query.where(table.customer_id == customer_id)
    for name in ("status", "reference"):
        if wanted[name] is not None:
            query = query.where(table[name] == wanted[name])
    if wanted["created_after"]:
        query = query.where(table.created_at > wanted["created_after"])
    if wanted["created_before"]:
        query = query.where(table.created_at < wanted["created_before"])
    return fetch_page(connection, query, [table.id], limit=wanted["limit"], cursor=wanted["cursor"])


def timeline(connection: Connection, order_id: UUID) -> list[dict[str, Any]]:
    """Return what happened to an order, oldest first."""
    table = ORDER_ENTRIES.c
    rows = connection.execute(
        select(table.at, table.event, table.detail).where(table.order_id == order_id).order_by(table.id)
    )
    return [row._asdict() for row in rows]


def waits(
    connection: Connection, order: Order, checkout: Engine[Order], entries: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return whose answers an order waits for, since when, and what the clock will do about it.

    `again_at` is when it is asked for again, `given_up_at` when silence ends the order: only before it is confirmed.
    """
    steps = checkout.waits_for(order.saga)
    keys = {step: checkout.saga.key(order, step) for step in steps}
    timers = {
        row.timer_key: row.available_at
        for row in connection.execute(
            select(OUTBOX.c.timer_key, OUTBOX.c.available_at).where(OUTBOX.c.timer_key.in_(keys.values()))
        )
    }
    since = max(
        (each["at"] for each in entries if not REPEATED.search(each["event"])), default=order.created_at
    )
    found = []
    for step in steps:
        command = contract_of(checkout.outstanding(order.saga, step, order)).type
        again_at, given_up_at = checkout.clock(order.saga, step, timers.get(keys[step]))
        found.append(
            {
                "service": command.partition(".")[0],
                "command": command,
                "since": since,
                "again_at": again_at,
                "given_up_at": given_up_at,
                "in_doubt": step in order.saga.doubted,
            }
        )
    return found


def shown(row: Row[Any]) -> dict[str, Any]:
    """Return an order's row as the API shows it."""
    return {
        "id": row.id,
        "reference": row.reference,
        "customer_id": row.customer_id,
        "status": row.status,
        "reason": row.reason,
        "detail": row.detail,
        "lines": [_line(row.currency, **line) for line in row.lines],
        "total": {"amount": row.total_amount, "currency": row.currency},
        "shipping_address": row.shipping_address,
        "metadata": row.metadata,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def shown_new(order: Order) -> dict[str, Any]:
    """Return an order that was just accepted as the API shows it."""
    currency = order.total.currency
    return {
        "id": order.id,
        "reference": order.reference,
        "customer_id": order.customer_id,
        "status": order.status,
        "reason": order.reason,
        "detail": order.detail,
        "lines": [
            _line(currency, line.sku, line.name, line.quantity, line.unit_price) for line in order.lines
        ],
        "total": order.total,
        "shipping_address": order.shipping_address,
        "metadata": order.metadata,
        "created_at": order.created_at,
        "updated_at": order.created_at,
    }


def _line(currency: str, sku: str, name: str, quantity: int, unit_price: int) -> dict[str, Any]:
    return {
        "sku": sku,
        "name": name,
        "quantity": quantity,
        "unit_price": {"amount": unit_price, "currency": currency},
        "total": {"amount": unit_price * quantity, "currency": currency},
    }
