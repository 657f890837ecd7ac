"""The tables of Payments."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

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
