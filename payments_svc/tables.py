"""The tables of Payments, and how payments are loaded, locked and saved. The only file that knows columns."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    select,
    text,
)

from payments_svc.domain import Call, Intent, Payment, Refund
from shared_events.contract import Message
from shared_events.contracts.values import Money
from shared_events.work import UnitOfWork

METADATA = MetaData()
MIGRATION_HEAD = "0001"


def _times() -> tuple[Column[datetime], Column[datetime]]:
    """Return created_at and updated_at; the database fills in both."""
    return (
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )


def _one_of(column: str, *values: str) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(map(repr, values))})", name=f"known_{column}")


PAYMENTS = Table(
    "payments",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, nullable=False, unique=True),
    Column("customer_id", Uuid, comment="null: a tombstone, voided before it was asked for"),
    Column("amount", BigInteger, comment="minor units; null: a tombstone"),
    Column("currency", Text),
    Column("method", Text, nullable=False, comment="the provider's token, never card data"),
    Column("status", Text, nullable=False),
    Column("void_requested", Boolean, nullable=False),
    Column("void_reason", Text, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    *_times(),
    _one_of(
        "status", "authorizing", "authorized", "declined", "capturing", "captured",
        "voiding", "voided", "refunding", "refunded",
    ),
    CheckConstraint("amount >= 0", name="no_negative_amount"),
    Index("payments_of_a_customer", "customer_id", "id"),
)  # fmt: skip

INTENTS = Table(
    "intents",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("payment_id", Uuid, ForeignKey("payments.id"), nullable=False),
    Column("order_id", Uuid, nullable=False),
    Column("operation", Text, nullable=False),
    Column("provider_key", Text, nullable=False, unique=True, comment="the provider's idempotency key"),
    Column("status", Text, nullable=False),
    Column("lease_token", Uuid, comment="of the executor that is calling"),
    Column("leased_until", DateTime(timezone=True)),
    Column("attempts", Integer, nullable=False),
    Column("refusals", Integer, nullable=False),
    Column("doubted", Boolean, nullable=False, comment="a call may have happened whose answer is unknown"),
    Column("reference", Text, nullable=False, comment="the provider's name for the money"),
    Column("code", Text, nullable=False, comment="why the provider refused last"),
    Column("detail", Text, nullable=False),
    *_times(),
    UniqueConstraint("order_id", "operation", name="one_intent_per_order_and_operation"),
    _one_of("operation", "authorize", "capture", "void", "refund"),
    _one_of("status", "waiting", "leased", "in_doubt", "succeeded", "refused", "closed"),
    Index("intents_of_a_payment", "payment_id"),
    Index("open_intents", "updated_at", postgresql_where=text("status IN ('waiting', 'leased', 'in_doubt')")),
)

REFUNDS = Table(
    "refunds",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("payment_id", Uuid, ForeignKey("payments.id"), nullable=False, unique=True),
    Column("order_id", Uuid, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_by", Text, nullable=False, comment="`orders` for an undo, else a member of staff"),
    Column("status", Text, nullable=False),
    *_times(),
    _one_of("status", "pending", "succeeded"),
    CheckConstraint("amount >= 0", name="no_negative_amount"),
)

_OWNED_BY_THE_DATABASE = {"version", "created_at", "updated_at"}
Values = dict[str, Any]


class PaymentsWork(UnitOfWork):
    """The payments of the orders that the messages are about, with their intents and refunds."""

    service = "payments"

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.payments: dict[UUID, Payment] = {}
        self.now = datetime.min.replace(tzinfo=UTC)
        self.call: Call | None = None
        self._saved: dict[tuple[str, UUID], Values] = {}

    def lock(self, messages: Sequence[Message]) -> None:
        """Lock the payments of these messages' orders; the payment's row guards its intents and refund."""
        self.lock_orders(getattr(message, "order_id") for message in messages)  # noqa: B009  all of ours have one

    def lock_orders(self, order_ids: Iterable[UUID]) -> None:
        """Lock, then read, in the order of the ids; an order without a payment is locked all the same."""
        ids = sorted(set(order_ids) - self.payments.keys())
        if not ids:
            return
        # Two transactions may both be about to make an order's first row: the advisory lock lets one wait.
        keys = sorted(int.from_bytes(each.bytes[8:], signed=True) for each in ids)
        self.now = self.connection.execute(_LOCK_ORDERS, {"keys": keys}).scalars().all()[-1]
        found = self.connection.execute(_LOCK_PAYMENTS, {"ids": ids}).all()
        by_id = {row.id: _payment(row) for row in found}
        self._load_parts(by_id)
        self.payments.update((payment.order_id, payment) for payment in by_id.values())
        for payment in by_id.values():
            self._saved.update(((table.name, row["id"]), row) for table, row in _rows(payment))

    def add(self, payment: Payment) -> Payment:
        """Take in a new payment; its order must be locked."""
        self.payments[payment.order_id] = payment
        return payment

    def flush(self) -> None:
        """Write new and changed rows, one statement per table and kind."""
        rows = [pair for payment in self.payments.values() for pair in _rows(payment)]
        for table in (PAYMENTS, INTENTS, REFUNDS):
            mine = [row for its, row in rows if its is table]
            new = [row for row in mine if (table.name, row["id"]) not in self._saved]
            changed = [row for row in mine if self._saved.get((table.name, row["id"]), row) != row]
            if new:
                self.connection.execute(table.insert().values(new))
            if changed:
                self._update(table, changed)
        self._saved = {(table.name, row["id"]): row for table, row in rows}

    def _load_parts(self, payments: dict[UUID, Payment]) -> None:
        """Read what belongs to these payments. Only now: before the lock it could still change."""
        if not payments:
            return
        for row in self.connection.execute(_INTENTS_OF, {"ids": list(payments)}):
            payments[row.payment_id].intents[row.operation] = _intent(row)
        refunded = [each.id for each in payments.values() if "refund" in each.intents]
        if refunded:
            for row in self.connection.execute(_REFUNDS_OF, {"ids": refunded}):
                payments[row.payment_id].refund = _refund(row)

    def _update(self, table: Table, rows: list[Values]) -> None:
        names = [name for name in rows[0] if name != "id"]
        version = "version = was.version + 1, " if "version" in table.c else ""
        types = {name: table.c[name].type.compile(self.connection.dialect) for name in rows[0]}
        arrays = ", ".join(f"CAST(:{name} AS {types[name]}[])" for name in rows[0])
        statement = (
            f"UPDATE {table.name} AS was SET {version}updated_at = now(), "  # noqa: S608  names of our own columns
            + ", ".join(f"{name} = new.{name}" for name in names)
            + f" FROM unnest({arrays}) AS new ({', '.join(rows[0])}) WHERE was.id = new.id"
        )
        self.connection.execute(text(statement), {name: [row[name] for row in rows] for name in rows[0]})


_LOCK_ORDERS = text(
    "SELECT now() FROM unnest(CAST(:keys AS bigint[])) AS k WHERE pg_advisory_xact_lock(k) IS NOT NULL"
)
_LOCK_PAYMENTS = (
    select(PAYMENTS)
    .where(PAYMENTS.c.order_id == func.any(text("CAST(:ids AS uuid[])")))
    .order_by(PAYMENTS.c.order_id)
    .with_for_update()
)
_INTENTS_OF = select(INTENTS).where(INTENTS.c.payment_id == func.any(text("CAST(:ids AS uuid[])")))
_REFUNDS_OF = select(REFUNDS).where(REFUNDS.c.payment_id == func.any(text("CAST(:ids AS uuid[])")))


def _rows(payment: Payment) -> Iterable[tuple[Table, Values]]:
    """Return the rows that a payment is made of."""
    money, refund = payment.amount, payment.refund
    yield (
        PAYMENTS,
        {
            "id": payment.id,
            "order_id": payment.order_id,
            "customer_id": payment.customer_id,
            "amount": money.amount if money else None,
            "currency": money.currency if money else None,
            "method": payment.method,
            "status": payment.status,
            "void_requested": payment.void_requested,
            "void_reason": payment.void_reason,
        },
    )
    for intent in payment.intents.values():
        yield INTENTS, {name: getattr(intent, name) for name in _INTENT_FIELDS}
    if refund:
        yield (
            REFUNDS,
            {
                "id": refund.id,
                "payment_id": refund.payment_id,
                "order_id": refund.order_id,
                "amount": refund.amount.amount,
                "currency": refund.amount.currency,
                "reason": refund.reason,
                "requested_by": refund.requested_by,
                "status": refund.status,
            },
        )


_INTENT_FIELDS = [column.name for column in INTENTS.c if column.name not in _OWNED_BY_THE_DATABASE]


def _payment(row: Row[Any]) -> Payment:
    return Payment(
        row.order_id,
        row.id,
        row.customer_id,
        None if row.amount is None else Money(row.amount, row.currency),
        row.method,
        row.status,
        row.void_requested,
        row.void_reason,
        row.version,
    )


def _intent(row: Row[Any]) -> Intent:
    kept = (name for name in _INTENT_FIELDS if name != "provider_key")
    return Intent(**{name: getattr(row, name) for name in kept})


def _refund(row: Row[Any]) -> Refund:
    money = Money(row.amount, row.currency)
    return Refund(row.payment_id, row.order_id, money, row.reason, row.requested_by, row.id, row.status)
