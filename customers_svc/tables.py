"""The customers table, and how customers are loaded and saved."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Index,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    Uuid,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from customers_svc.domain import Customer, Profile, Suspension
from shared_events.contract import Message
from shared_events.contracts.customers import CustomerSnapshotDue, CustomerSnapshotRequested
from shared_events.work import UnitOfWork

MIGRATION_HEAD = "0001"
METADATA = MetaData()
SNAPSHOT_PART = 500
_FIRST = UUID(int=0)

CUSTOMERS = Table(
    "customers",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False, unique=True, comment="in small letters"),
    Column("name", Text, nullable=False),
    Column("phone", Text),
    Column("addresses", JSONB, nullable=False),
    Column("suspended_at", DateTime(timezone=True), comment="null: may order"),
    Column("suspension_reason", Text),
    Column("version", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)
Index("customers_created_at", CUSTOMERS.c.created_at, CUSTOMERS.c.id)
Index("customers_suspended", CUSTOMERS.c.id, postgresql_where=CUSTOMERS.c.suspended_at.is_not(None))


class Customers(UnitOfWork):
    """The customers that one transaction works on."""

    service = "customers"

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._held: dict[UUID, Customer] = {}
        self._parts: dict[UUID, Sequence[Customer]] = {}

    def lock(self, messages: Sequence[Message]) -> None:
        """Read the parts of the snapshot that are asked for. A snapshot changes nothing: no lock is taken."""
        for message in messages:
            if isinstance(message, CustomerSnapshotRequested | CustomerSnapshotDue):
                after = part_begins_after(message)
                self._parts[after] = self._suspended(after)

    def suspended_after(self, after: UUID) -> Sequence[Customer]:
        """Return the part of all suspended customers that `lock` read, by id."""
        return self._parts[after]

    def get(self, customer_id: UUID) -> Customer | None:
        """Lock a customer for a change; None if there is none."""
        row = self.connection.execute(
            select(CUSTOMERS).where(CUSTOMERS.c.id == customer_id).with_for_update()
        ).one_or_none()
        if row is None:
            return None
        self._held[customer_id] = customer = customer_of(row)
        return customer

    def add(self, customer: Customer) -> bool:
        """Write a new customer; False if the id or the e-mail address is taken."""
        statement = insert(CUSTOMERS).values(_columns(customer)).on_conflict_do_nothing()
        return self.connection.execute(statement.returning(CUSTOMERS.c.id)).first() is not None

    def email_is_taken(self, email: str) -> bool:
        """Say whether a customer has this address."""
        found = select(CUSTOMERS.c.id).where(CUSTOMERS.c.email == email)
        return self.connection.execute(found).first() is not None

    def flush(self) -> None:
        """Write the customers that changed."""
        for customer in self._held.values():
            if customer.changed:
                its = CUSTOMERS.c.id == customer.id
                self.connection.execute(update(CUSTOMERS).where(its).values(_columns(customer)))

    def _suspended(self, after: UUID) -> Sequence[Customer]:
        rows = self.connection.execute(
            select(CUSTOMERS)
            .where(CUSTOMERS.c.suspended_at.is_not(None), CUSTOMERS.c.id > after)
            .order_by(CUSTOMERS.c.id)
            .limit(SNAPSHOT_PART)
        )
        return [customer_of(row) for row in rows]


def part_begins_after(asked: CustomerSnapshotRequested | CustomerSnapshotDue) -> UUID:
    """Return after which customer the wanted part of the snapshot begins."""
    return asked.after if isinstance(asked, CustomerSnapshotDue) else _FIRST


def customer_of(row: Row[Any]) -> Customer:
    """Return the customer that a row holds."""
    suspension = Suspension(row.suspension_reason, row.suspended_at) if row.suspended_at else None
    return Customer(
        id=row.id,
        profile=Profile(row.email, row.name, row.phone, tuple(row.addresses)),
        created_at=row.created_at,
        updated_at=row.updated_at,
        suspension=suspension,
        version=row.version,
    )


def _columns(customer: Customer) -> dict[str, Any]:
    profile, suspension = customer.profile, customer.suspension
    return {
        "id": customer.id,
        "email": profile.email,
        "name": profile.name,
        "phone": profile.phone,
        "addresses": list(profile.addresses),
        "suspended_at": suspension.since if suspension else None,
        "suspension_reason": suspension.reason if suspension else None,
        "version": customer.version,
        "created_at": customer.created_at,
        "updated_at": customer.updated_at,
    }
