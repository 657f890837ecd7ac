"""What Customers' API reads."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from customers_svc.domain import Customer
from customers_svc.tables import CUSTOMERS, customer_of
from shared_http.paging import Page, fetch_page


def customer(connection: Connection, customer_id: UUID) -> Customer | None:
    """Return a customer, or None."""
    row = connection.execute(select(CUSTOMERS).where(CUSTOMERS.c.id == customer_id)).one_or_none()
    return None if row is None else customer_of(row)


def customers(connection: Connection, *, email: str | None, limit: int, cursor: str | None) -> Page:
    """Return a page of customers, newest first."""
    statement = select(CUSTOMERS)
    if email is not None:
        statement = statement.where(CUSTOMERS.c.email == email)
    by = (CUSTOMERS.c.created_at, CUSTOMERS.c.id)
    return fetch_page(connection, statement, by, limit=limit, cursor=cursor)


def shown(its: Customer, *, to_staff: bool) -> dict[str, Any]:
    """Return a customer as the API shows it."""
    profile, suspension = its.profile, its.suspension
    body: dict[str, Any] = {
        "id": its.id,
        "email": profile.email,
        "name": profile.name,
        "phone": profile.phone,
        "addresses": list(profile.addresses),
        "suspended": its.suspended,
        "created_at": its.created_at,
        "updated_at": its.updated_at,
    }
    if to_staff:
        body["suspension"] = suspension and {"reason": suspension.reason, "since": suspension.since}
    return body
