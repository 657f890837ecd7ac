"""What Payments shows: read models for its API."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, select

from payments_svc.tables import INTENTS, PAYMENTS, REFUNDS
from shared_http.paging import Page, fetch_page

_DECLINED = and_(
    INTENTS.c.payment_id == PAYMENTS.c.id, INTENTS.c.operation == "authorize", INTENTS.c.status == "refused"
)
_PAYMENTS = (
    select(PAYMENTS, INTENTS.c.code, INTENTS.c.detail, REFUNDS.c.id.label("refund_id"))
    .select_from(PAYMENTS)
    .outerjoin(INTENTS, _DECLINED)
    .outerjoin(REFUNDS, REFUNDS.c.payment_id == PAYMENTS.c.id)
)


def payment(connection: Connection, payment_id: UUID) -> Row[Any] | None:
    """Return a payment's row, or None."""
    return connection.execute(_PAYMENTS.where(PAYMENTS.c.id == payment_id)).one_or_none()


def payments(
    connection: Connection, customer_id: UUID | None, *, order_id: UUID | None, limit: int, cursor: str | None
) -> Page:
    """Return a page of payments, newest first; of one customer unless `customer_id` is None."""
    query = _PAYMENTS
    if customer_id is not None:
        query = query.where(PAYMENTS.c.customer_id == customer_id)
    if order_id is not None:
        query = query.where(PAYMENTS.c.order_id == order_id)
    return fetch_page(connection, query, (PAYMENTS.c.id,), limit=limit, cursor=cursor)


def refund(connection: Connection, refund_id: UUID) -> Row[Any] | None:
    """Return a refund's row with its payment's `customer_id`, or None."""
    query = select(REFUNDS, PAYMENTS.c.customer_id).join(PAYMENTS, REFUNDS.c.payment_id == PAYMENTS.c.id)
    return connection.execute(query.where(REFUNDS.c.id == refund_id)).one_or_none()


def shown_payment(row: Row[Any]) -> dict[str, Any]:
    """Return a payment's row as the API shows it."""
    return {
        "id": row.id,
        "order_id": row.order_id,
        "customer_id": row.customer_id,
        "amount": None if row.amount is None else {"amount": row.amount, "currency": row.currency},
        "payment_method": row.method,
        "status": row.status,
        "decline": None if row.code is None else {"code": row.code, "detail": row.detail},
        "refund_id": row.refund_id,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def shown_refund(row: Row[Any]) -> dict[str, Any]:
    """Return a refund's row as the API shows it."""
    same = ("id", "payment_id", "order_id", "reason", "requested_by", "status", "created_at", "updated_at")
    money = {"amount": row.amount, "currency": row.currency}
    return {"amount": money, **{name: row._mapping[name] for name in same}}
