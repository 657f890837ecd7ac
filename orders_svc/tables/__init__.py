"""The tables of Orders, and its unit of work. The only place that knows columns."""

from orders_svc.tables.columns import METADATA, MIGRATION_HEAD, ORDER_ENTRIES, ORDERS
from orders_svc.tables.work import OrdersWork, is_stale, order_of

__all__ = [
    "METADATA",
    "MIGRATION_HEAD",
    "ORDERS",
    "ORDER_ENTRIES",
    "OrdersWork",
    "is_stale",
    "order_of",
]
