"""What Customers does with the messages that it receives. One table: message -> messages."""

from collections.abc import Iterator

from customers_svc.domain import Customer
from customers_svc.tables import SNAPSHOT_PART, Customers, part_begins_after
from shared_events.contracts.customers import (
    CustomerSnapshotDue,
    CustomerSnapshotRequested,
    CustomerSuspended,
)
from shared_events.handlers import Handlers, Later, Output

handlers = Handlers("customers")


@handlers.on(CustomerSnapshotRequested, CustomerSnapshotDue)
def send_snapshot(
    asked: CustomerSnapshotRequested | CustomerSnapshotDue, work: Customers
) -> Iterator[Output]:
    """Tell every current suspension again, part by part, with unchanged versions."""
    part = work.suspended_after(part_begins_after(asked))
    yield from map(_still_suspended, part)
    if len(part) == SNAPSHOT_PART:
        yield Later(CustomerSnapshotDue(after=part[-1].id, asker=asked.asker), after_s=0)


def _still_suspended(customer: Customer) -> CustomerSuspended:
    return CustomerSuspended(
        customer_id=customer.id, suspended=customer.suspended, aggregate_version=customer.version
    )
