"""Inventory's part in the saga: message -> messages, one function each.

Every command may come again at any time, under a new id and in any order. The reservation of its order holds
what was decided first, and that is what the answer says.
"""

from uuid import UUID

from inventory_svc.domain import Reservation, Shelves, Status
from shared_events.contract import Message
from shared_events.contracts.inventory import (
    CatalogueSnapshotRequested,
    CommitStock,
    HoldElapsed,
    KeepReservation,
    ReleaseStock,
    ReservationOverdue,
    ReserveStock,
    SnapshotDue,
    StockCommitRefused,
    StockCommitted,
    StockRejected,
    StockReleased,
    StockReserved,
)
from shared_events.handlers import Cancel, Handlers, Later, Output

handlers = Handlers("inventory")

ASK_AGAIN_S = 300.0
"""How long Orders may take to say whether an overdue reservation is still needed."""
SNAPSHOT_BATCH = 200
"""How many products one message of a snapshot sends again."""


@handlers.on(ReserveStock)
def reserve_stock(command: ReserveStock, work: Shelves) -> list[Output]:
    """Set every line aside, or none; the hold begins with the first decision."""
    is_new = command.order_id not in work.reservations
    reservation = work.reserve(command.order_id, command.lines, command.hold_s)
    if reservation.status not in {Status.HELD, Status.COMMITTED}:
        return [StockRejected(order_id=command.order_id, shortages=reservation.shortages)]
    hold = [_hold(command.order_id, command.hold_s)] if is_new else []
    return [StockReserved(order_id=command.order_id), *hold]


@handlers.on(ReleaseStock)
def release_stock(command: ReleaseStock, work: Shelves) -> list[Output]:
    """Give back whatever is held, and refuse whatever comes later."""
    end_of_hold = _end_of_hold(command.order_id, work)
    work.release(command.order_id)
    return [StockReleased(order_id=command.order_id), *end_of_hold]


@handlers.on(CommitStock)
def commit_stock(command: CommitStock, work: Shelves) -> list[Output]:
    """Take the goods out of the stock."""
    end_of_hold = _end_of_hold(command.order_id, work)
    reservation = work.commit(command.order_id, command.lines)
    return [_committed_or_not(reservation), *end_of_hold]


@handlers.on(HoldElapsed)
def hold_elapsed(timer: HoldElapsed, work: Shelves) -> list[Output]:
    """Ask Orders whether the goods are still needed, again and again until it answers."""
    return question(timer.order_id) if work.holds(timer.order_id) else []


@handlers.on(KeepReservation)
def keep_reservation(command: KeepReservation, work: Shelves) -> list[Output]:
    """Hold the goods for longer."""
    if not work.keep(command.order_id, command.hold_s):
        return []
    return _hold_anew(command.order_id, command.hold_s)


@handlers.on(CatalogueSnapshotRequested)
def send_catalogue(command: CatalogueSnapshotRequested, work: Shelves) -> list[Message]:  # noqa: ARG001  it says all
    """Send the first products again."""
    return _products_after("", work)


@handlers.on(SnapshotDue)
def continue_catalogue(timer: SnapshotDue, work: Shelves) -> list[Message]:
    """Send the next products again."""
    return _products_after(timer.after_sku, work)


def question(order_id: UUID) -> list[Output]:
    """Return what asks Orders about goods that are held, and asks again if no answer comes."""
    return [ReservationOverdue(order_id=order_id), *_hold_anew(order_id, ASK_AGAIN_S)]


def _committed_or_not(reservation: Reservation) -> Message:
    if reservation.status is Status.COMMITTED:
        return StockCommitted(order_id=reservation.order_id)
    return StockCommitRefused(order_id=reservation.order_id, shortages=reservation.shortages)


def _hold(order_id: UUID, after_s: float) -> Later:
    return Later(HoldElapsed(order_id=order_id), after_s, _key(order_id))


def _hold_anew(order_id: UUID, after_s: float) -> list[Output]:
    """Set the timer in the place of the one that may wait: each reservation has one."""
    return [Cancel(_key(order_id)), _hold(order_id, after_s)]


def _end_of_hold(order_id: UUID, work: Shelves) -> list[Output]:
    """Cancel the timer of goods that are about to be held no longer."""
    return [Cancel(_key(order_id))] if work.holds(order_id) else []


def _key(order_id: UUID) -> str:
    return f"hold:{order_id}"


def _products_after(sku: str, work: Shelves) -> list[Message]:
    """Return the next products as facts with their unchanged versions, and the timer for those after them."""
    products = work.products_after(sku, SNAPSHOT_BATCH)
    facts: list[Message] = [product.fact() for product in products]
    if len(products) < SNAPSHOT_BATCH:
        return facts
    return [*facts, SnapshotDue(after_sku=products[-1].sku)]
