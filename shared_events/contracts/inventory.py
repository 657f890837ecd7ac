"""What Inventory is told, what it answers, and what it tells the world."""

from uuid import UUID

from shared_events.contract import Command, Fact, Reply, Timer, contract
from shared_events.contracts.values import Line, Money, Shortage


@contract("inventory.reserve_stock", subject="order_id", sent_by="orders")
class ReserveStock(Command, frozen=True, kw_only=True):
    """Set every line aside for an order, or none. After `hold_s` seconds Inventory asks whether to keep it."""

    order_id: UUID
    lines: tuple[Line, ...]
    hold_s: float


@contract("inventory.stock_reserved", subject="order_id")
class StockReserved(Reply, frozen=True, kw_only=True):
    """Every line is set aside."""

    order_id: UUID


@contract("inventory.stock_rejected", subject="order_id")
class StockRejected(Reply, frozen=True, kw_only=True):
    """Nothing is set aside: these lines are short, or (no shortages) the order was released before."""

    order_id: UUID
    shortages: tuple[Shortage, ...]


@contract("inventory.release_stock", subject="order_id", sent_by="orders")
class ReleaseStock(Command, frozen=True, kw_only=True):
    """Give back whatever is held for an order: a reservation, or goods already committed (a restock).

    If nothing is there, a tombstone refuses the reservation that arrives later.
    """

    order_id: UUID


@contract("inventory.stock_released", subject="order_id")
class StockReleased(Reply, frozen=True, kw_only=True):
    """Nothing is held for the order, and nothing ever will be."""

    order_id: UUID


@contract("inventory.commit_stock", subject="order_id", sent_by="orders")
class CommitStock(Command, frozen=True, kw_only=True):
    """Take the reserved goods out of the stock; reserve anew if the reservation is missing."""

    order_id: UUID
    lines: tuple[Line, ...]


@contract("inventory.stock_committed", subject="order_id")
class StockCommitted(Reply, frozen=True, kw_only=True):
    """The goods left the stock."""

    order_id: UUID


@contract("inventory.stock_commit_refused", subject="order_id")
class StockCommitRefused(Reply, frozen=True, kw_only=True):
    """The reservation is gone and the goods too."""

    order_id: UUID
    shortages: tuple[Shortage, ...]


@contract("inventory.reservation_overdue", subject="order_id")
class ReservationOverdue(Reply, frozen=True, kw_only=True):
    """Asks Orders: this reservation is older than its `hold_s`; keep it or release it."""

    order_id: UUID


@contract("inventory.keep_reservation", subject="order_id", sent_by="orders")
class KeepReservation(Command, frozen=True, kw_only=True):
    """Orders' answer to ReservationOverdue: still needed, ask again after `hold_s` seconds."""

    order_id: UUID
    hold_s: float


@contract("inventory.hold_elapsed", subject="order_id")
class HoldElapsed(Timer, frozen=True, kw_only=True):
    """A reservation's hold time is over."""

    order_id: UUID


@contract("inventory.product_changed", subject="sku")
class ProductChanged(Fact, frozen=True, kw_only=True):
    """A product's whole present state. Apply only if `aggregate_version` is newer than what is held."""

    sku: str
    name: str
    price: Money
    active: bool
    aggregate_version: int


@contract("inventory.catalogue_snapshot_requested", subject="asker", sent_by="orders")
class CatalogueSnapshotRequested(Command, frozen=True, kw_only=True):
    """Send every product's present state again as ordinary facts, so that a copy can be rebuilt."""

    asker: str = "orders"


@contract("inventory.snapshot_due", subject="after_sku")
class SnapshotDue(Timer, frozen=True, kw_only=True):
    """Send the next part of the catalogue: the SKUs after `after_sku`."""

    after_sku: str
