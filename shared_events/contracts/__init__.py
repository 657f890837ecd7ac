"""The published language: one file per owning service. Importing this package registers every contract."""

from shared_events.contracts import customers, inventory, orders, payments

__all__ = ["customers", "inventory", "orders", "payments"]
