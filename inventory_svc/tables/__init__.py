"""The tables of Inventory, and its unit of work. The only place that knows columns."""

from inventory_svc.tables.columns import (
    METADATA,
    MIGRATION_HEAD,
    PRODUCTS,
    STOCK,
    STOCK_MOVEMENTS,
)
from inventory_svc.tables.work import InventoryWork

__all__ = [
    "METADATA",
    "MIGRATION_HEAD",
    "PRODUCTS",
    "STOCK",
    "STOCK_MOVEMENTS",
    "InventoryWork",
]
