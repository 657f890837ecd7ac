"""What Customers tells the world: ids and standing only, never personal data.

Each fact carries the customer's whole standing (`suspended`); apply only if `aggregate_version` is newer.
"""

from uuid import UUID

from shared_events.contract import Command, Fact, Timer, contract


@contract("customers.customer_registered", subject="customer_id")
class CustomerRegistered(Fact, frozen=True, kw_only=True):
    """A customer registered."""

    customer_id: UUID
    suspended: bool
    aggregate_version: int


@contract("customers.customer_changed", subject="customer_id")
class CustomerChanged(Fact, frozen=True, kw_only=True):
    """A customer's profile changed."""

    customer_id: UUID
    suspended: bool
    aggregate_version: int


@contract("customers.customer_suspended", subject="customer_id")
class CustomerSuspended(Fact, frozen=True, kw_only=True):
    """A customer may not order any more."""

    customer_id: UUID
    suspended: bool
    aggregate_version: int


@contract("customers.customer_reinstated", subject="customer_id")
class CustomerReinstated(Fact, frozen=True, kw_only=True):
    """A suspended customer may order again."""

    customer_id: UUID
    suspended: bool
    aggregate_version: int


@contract("customers.snapshot_requested", subject="asker", sent_by="orders")
class CustomerSnapshotRequested(Command, frozen=True, kw_only=True):
    """Send every suspended customer's standing again as ordinary facts, so that a copy can be rebuilt."""

    asker: str = "orders"


@contract("customers.snapshot_due", subject="asker")
class CustomerSnapshotDue(Timer, frozen=True, kw_only=True):
    """Send the next part of the snapshot: the customers after `after`."""

    after: UUID
    asker: str = "orders"
