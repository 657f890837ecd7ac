"""The tables of Orders. A migration makes them; a test compares the two."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

METADATA = MetaData()
MIGRATION_HEAD = "0001"

ORDERS = Table(
    "orders",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("customer_id", Uuid, nullable=False),
    Column("reference", Text),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("detail", Text, nullable=False),
    Column("lines", JSONB, nullable=False, comment="[{sku, name, quantity, unit_price}], never changed"),
    Column("total_amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("payment_method", Text, nullable=False, comment="the provider's token"),
    Column("shipping_address", JSONB, nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column("saga", JSONB, nullable=False, comment="{steps: {name: [standing, attempt]}, undoing, doubted}"),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("confirmed_at", DateTime(timezone=True)),
)

ORDER_ENTRIES = Table(
    "order_entries",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("order_id", Uuid, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("event", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

PRODUCTS = Table(
    "products",
    METADATA,
    Column("sku", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("price_amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
)

CUSTOMERS = Table(
    "customers",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("suspended", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
)
