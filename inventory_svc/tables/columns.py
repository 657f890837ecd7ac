"""The tables of Inventory. A migration makes them; a test compares the two."""

from typing import Any

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
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

METADATA = MetaData()
MIGRATION_HEAD = "0001"
"""The oldest migration that this release works with."""

# Bytewise, so that the database sorts and compares SKUs as Python does.
_SKU = Text(collation="C")
_NOW = func.now()


def _time(name: str, **options: Any) -> Column[Any]:
    return Column(name, DateTime(timezone=True), **options)


PRODUCTS = Table(
    "products",
    METADATA,
    Column("sku", _SKU, primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("price_amount", BigInteger, nullable=False, comment="the price in minor units"),
    Column("currency", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("version", Integer, nullable=False, comment="counts the changes that others are told of"),
    Column("external_version", BigInteger, comment="the newest from a catalogue kept elsewhere"),
    _time("created_at", nullable=False, server_default=_NOW),
    _time("updated_at", nullable=False, server_default=_NOW),
    CheckConstraint("price_amount >= 0", name="products_price"),
    Index("products_updated_at", "updated_at"),
)

STOCK = Table(
    "stock",
    METADATA,
    Column("sku", _SKU, ForeignKey("products.sku"), primary_key=True),
    Column("on_hand", BigInteger, nullable=False, comment="the sum of the SKU's movements"),
    Column("reserved", BigInteger, nullable=False, comment="the sum of the lines of held reservations"),
    CheckConstraint("0 <= reserved AND reserved <= on_hand", name="never_oversold"),
)

STOCK_MOVEMENTS = Table(
    "stock_movements",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("sku", _SKU, ForeignKey("stock.sku"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False, comment="positive: came in"),
    Column("cause", Text, nullable=False),
    Column("order_id", Uuid, comment="of a sale and of a restock"),
    _time("created_at", nullable=False, server_default=_NOW),
    CheckConstraint("kind IN ('receive', 'adjust', 'sale', 'restock')", name="stock_movements_kind"),
    CheckConstraint("quantity <> 0", name="stock_movements_quantity"),
    Index("stock_movements_sku", "sku", "id"),
)

RESERVATIONS = Table(
    "reservations",
    METADATA,
    Column("order_id", Uuid, primary_key=True),
    Column("status", Text, nullable=False),
    Column("shortages", JSONB, comment="why it was rejected"),
    _time("hold_until", comment="when Orders is asked whether it is still needed"),
    _time("created_at", nullable=False, server_default=_NOW),
    _time("updated_at", nullable=False, server_default=_NOW),
    CheckConstraint("status IN ('held', 'committed', 'released', 'rejected')", name="reservations_status"),
    Index("reservations_held", "order_id", postgresql_where=text("status = 'held'")),
)

RESERVATION_LINES = Table(
    "reservation_lines",
    METADATA,
    Column("order_id", Uuid, ForeignKey("reservations.order_id"), primary_key=True),
    Column("sku", _SKU, primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    CheckConstraint("quantity > 0", name="reservation_lines_quantity"),
)
