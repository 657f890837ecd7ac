"""Inventory's part in the saga: every command in every order, and twice."""

from itertools import product
from uuid import UUID, uuid4

import pytest
from inventory_in_memory import HOLD_S, MUG_PRICE, Inventory, commit, release, reserve

from inventory_svc.domain import Details, Kind, Product, Status
from inventory_svc.handlers import ASK_AGAIN_S, SNAPSHOT_BATCH
from shared_events.contract import Message
from shared_events.contracts.inventory import (
    CatalogueSnapshotRequested,
    HoldElapsed,
    KeepReservation,
    ProductChanged,
    ReservationOverdue,
    ReserveStock,
    SnapshotDue,
    StockCommitRefused,
    StockCommitted,
    StockRejected,
    StockReleased,
    StockReserved,
)
from shared_events.contracts.values import Line, Money, Shortage
from shared_events.handlers import Cancel, Later


@pytest.fixture
def inventory() -> Inventory:
    made = Inventory()
    made.has("LAMP", 5)
    made.has("MUG", 2)
    return made


@pytest.fixture
def order() -> UUID:
    return uuid4()


def hold(order: UUID, after_s: float = HOLD_S) -> Later:
    return Later(HoldElapsed(order_id=order), after_s, f"hold:{order}")


# -- reserve --------------------------------------------------------------------------------------


def test_every_line_is_set_aside_and_the_hold_begins(inventory: Inventory, order: UUID) -> None:
    said = inventory.receives(reserve(order, LAMP=2, MUG=1))

    assert said == [StockReserved(order_id=order), hold(order)]
    assert inventory.stock("LAMP") == (5, 2)
    assert inventory.stock("MUG") == (2, 1)


def test_nothing_is_set_aside_if_one_line_is_short(inventory: Inventory, order: UUID) -> None:
    answer = inventory.answers(reserve(order, LAMP=2, MUG=3))

    assert answer == StockRejected(order_id=order, shortages=(Shortage("MUG", 3, 2),))
    assert inventory.stock("LAMP") == (5, 0)


def test_an_unknown_sku_is_a_shortage_of_all_of_it(inventory: Inventory, order: UUID) -> None:
    answer = inventory.answers(reserve(order, SOFA=1))

    assert answer == StockRejected(order_id=order, shortages=(Shortage("SOFA", 1, 0),))


def test_lines_of_one_sku_count_together(inventory: Inventory, order: UUID) -> None:
    twice = (Line("MUG", 2), Line("MUG", 1))

    answer = inventory.answers(ReserveStock(order_id=order, lines=twice, hold_s=HOLD_S))

    assert answer == StockRejected(order_id=order, shortages=(Shortage("MUG", 3, 2),))


def test_the_first_come_gets_the_last_piece(inventory: Inventory) -> None:
    first, second = uuid4(), uuid4()

    answers = [inventory.answers(reserve(each, MUG=2)) for each in (first, second)]

    assert answers == [
        StockReserved(order_id=first),
        StockRejected(order_id=second, shortages=(Shortage("MUG", 2, 0),)),
    ]


def test_a_repeated_reserve_is_answered_again_and_holds_once(inventory: Inventory, order: UUID) -> None:
    inventory.receives(reserve(order, LAMP=2))

    assert inventory.receives(reserve(order, LAMP=2)) == [StockReserved(order_id=order)]
    assert inventory.stock("LAMP") == (5, 2)


def test_a_rejection_stays_even_when_goods_come_in(inventory: Inventory, order: UUID) -> None:
    first = inventory.answers(reserve(order, MUG=3))
    inventory.shelves.shift("MUG", Kind.RECEIVE, 10)

    assert inventory.answers(reserve(order, MUG=3)) == first
    assert inventory.stock("MUG") == (12, 0)


# -- release --------------------------------------------------------------------------------------


def test_released_goods_can_be_had_again_and_the_hold_ends(inventory: Inventory, order: UUID) -> None:
    inventory.receives(reserve(order, LAMP=5))

    said = inventory.receives(release(order))

    assert said == [StockReleased(order_id=order), Cancel(f"hold:{order}")]
    assert inventory.stock("LAMP") == (5, 0)


def test_releasing_committed_goods_puts_them_back(inventory: Inventory, order: UUID) -> None:
    inventory.receives(reserve(order, LAMP=2))
    inventory.receives(commit(order, LAMP=2))

    assert inventory.receives(release(order)) == [StockReleased(order_id=order)]
    assert inventory.stock("LAMP") == (5, 0)
    assert [(each.kind, each.quantity) for each in inventory.shelves.movements if each.order_id] == [
        (Kind.SALE, -2),
        (Kind.RESTOCK, 2),
    ]


def test_a_repeated_release_gives_back_once(inventory: Inventory, order: UUID) -> None:
    inventory.receives(commit(order, LAMP=2))

    answers = [inventory.answers(release(order)) for _ in range(3)]

    assert answers == [StockReleased(order_id=order)] * 3
    assert inventory.stock("LAMP") == (5, 0)


def test_an_undo_before_its_do_leaves_a_tombstone(inventory: Inventory, order: UUID) -> None:
    assert inventory.receives(release(order)) == [StockReleased(order_id=order)]

    late = inventory.receives(reserve(order, LAMP=2))

    assert late == [StockRejected(order_id=order, shortages=())]
    assert inventory.stock("LAMP") == (5, 0)


def test_nothing_is_reserved_again_after_a_release(inventory: Inventory, order: UUID) -> None:
    inventory.receives(reserve(order, LAMP=2))
    inventory.receives(release(order))

    assert inventory.answers(reserve(order, LAMP=2)) == StockRejected(order_id=order, shortages=())
    assert inventory.stock("LAMP") == (5, 0)


def test_releasing_a_rejected_order_is_acknowledged(inventory: Inventory, order: UUID) -> None:
    rejection = inventory.answers(reserve(order, MUG=3))

    assert inventory.receives(release(order)) == [StockReleased(order_id=order)]
    assert inventory.answers(reserve(order, MUG=3)) == rejection


# -- commit ---------------------------------------------------------------------------------------


def test_committed_goods_leave_the_stock(inventory: Inventory, order: UUID) -> None:
    inventory.receives(reserve(order, LAMP=2, MUG=1))

    said = inventory.receives(commit(order, LAMP=2, MUG=1))

    assert said == [StockCommitted(order_id=order), Cancel(f"hold:{order}")]
    assert (inventory.stock("LAMP"), inventory.stock("MUG")) == ((3, 0), (1, 0))


def test_a_repeated_commit_sells_once(inventory: Inventory, order: UUID) -> None:
    inventory.receives(reserve(order, LAMP=2))

    answers = [inventory.answers(commit(order, LAMP=2)) for _ in range(3)]

    assert answers == [StockCommitted(order_id=order)] * 3
    assert inventory.stock("LAMP") == (3, 0)


def test_a_commit_without_a_reservation_reserves_anew(inventory: Inventory, order: UUID) -> None:
    assert inventory.receives(commit(order, LAMP=2)) == [StockCommitted(order_id=order)]
    assert inventory.stock("LAMP") == (3, 0)


def test_a_commit_without_reservation_and_goods_is_refused_for_ever(
    inventory: Inventory, order: UUID
) -> None:
    first = inventory.answers(commit(order, MUG=3))
    inventory.shelves.shift("MUG", Kind.RECEIVE, 10)

    assert first == StockCommitRefused(order_id=order, shortages=(Shortage("MUG", 3, 2),))
    assert inventory.answers(commit(order, MUG=3)) == first
    assert inventory.stock("MUG") == (12, 0)


def test_a_commit_after_the_release_is_refused(inventory: Inventory, order: UUID) -> None:
    inventory.receives(reserve(order, LAMP=2))
    inventory.receives(release(order))

    assert inventory.answers(commit(order, LAMP=2)) == StockCommitRefused(order_id=order, shortages=())
    assert inventory.stock("LAMP") == (5, 0)


def test_a_reserve_that_comes_after_the_commit_holds_nothing_more(inventory: Inventory, order: UUID) -> None:
    inventory.receives(commit(order, LAMP=2))

    assert inventory.receives(reserve(order, LAMP=2)) == [StockReserved(order_id=order)]
    assert inventory.stock("LAMP") == (3, 0)


@pytest.mark.parametrize("names", list(product(["reserve", "commit", "release"], repeat=4)))
def test_whatever_the_order_a_released_order_ends_with_nothing(names: tuple[str, ...]) -> None:
    inventory, order = Inventory(), uuid4()
    inventory.has("LAMP", 5)
    commands: dict[str, Message] = {
        "reserve": reserve(order, LAMP=2),
        "commit": commit(order, LAMP=2),
        "release": release(order),
    }

    for name in (*names, "release"):
        inventory.receives(commands[name])

    assert inventory.status(order) is Status.RELEASED
    assert inventory.stock("LAMP") == (5, 0)
    assert inventory.broken_rules() == []


# -- overdue reservations -------------------------------------------------------------------------


def test_an_elapsed_hold_asks_orders_again_and_again(inventory: Inventory, order: UUID) -> None:
    inventory.receives(reserve(order, LAMP=2))

    for _ in range(2):
        said = inventory.receives(HoldElapsed(order_id=order))
        assert said == [
            ReservationOverdue(order_id=order),
            Cancel(f"hold:{order}"),
            hold(order, ASK_AGAIN_S),
        ]
    assert inventory.stock("LAMP") == (5, 2)


def test_a_reservation_that_orders_still_needs_is_held_for_longer(inventory: Inventory, order: UUID) -> None:
    inventory.receives(reserve(order, LAMP=2))

    said = inventory.receives(KeepReservation(order_id=order, hold_s=60))

    assert said == [Cancel(f"hold:{order}"), hold(order, 60)]


@pytest.mark.parametrize("ending", [release, commit])
def test_a_timer_of_an_ended_hold_does_nothing(inventory: Inventory, order: UUID, ending: type) -> None:
    inventory.receives(reserve(order, LAMP=2))
    inventory.receives(commit(order, LAMP=2) if ending is commit else release(order))

    assert inventory.receives(HoldElapsed(order_id=order)) == []
    assert inventory.receives(KeepReservation(order_id=order, hold_s=60)) == []


def test_a_timer_of_an_unknown_order_does_nothing(inventory: Inventory, order: UUID) -> None:
    assert inventory.receives(HoldElapsed(order_id=order)) == []
    assert inventory.receives(KeepReservation(order_id=order, hold_s=60)) == []


# -- the catalogue --------------------------------------------------------------------------------


def test_a_snapshot_sends_every_product_with_its_version(inventory: Inventory) -> None:
    inventory.shelves.products["MUG"].replace(Details("Cup", "", Money(900, "EUR"), active=False))

    said = inventory.receives(CatalogueSnapshotRequested())

    assert said == [
        ProductChanged(sku="LAMP", name="Lamp", price=MUG_PRICE, active=True, aggregate_version=1),
        ProductChanged(sku="MUG", name="Cup", price=Money(900, "EUR"), active=False, aggregate_version=2),
    ]


def test_a_long_snapshot_goes_on_by_timer_until_every_product_was_sent() -> None:
    inventory = Inventory()
    skus = sorted(f"SKU-{number}" for number in range(2 * SNAPSHOT_BATCH))
    for sku in skus:
        inventory.has(sku)

    sent: list[str] = []
    due: list[Message] = [CatalogueSnapshotRequested()]
    while due:
        for each in inventory.receives(due.pop()):
            if isinstance(each, ProductChanged):
                sent.append(each.sku)
            elif isinstance(each, SnapshotDue):
                due.append(each)

    assert sent == skus


def test_the_same_details_again_change_nothing() -> None:
    details = Details("Mug", "", MUG_PRICE, active=True)
    product = Product("MUG", details, version=3)

    assert not product.replace(details)
    assert product.version == 3


def test_an_older_external_version_is_ignored() -> None:
    product = Product("MUG", Details("Mug", "", MUG_PRICE, active=True), external_version=7)
    newer, older = Details("New", "", MUG_PRICE, active=True), Details("Old", "", MUG_PRICE, active=True)

    assert product.replace(newer, external_version=8)
    assert not product.replace(older, external_version=7)
    assert (product.details, product.version, product.external_version) == (newer, 2, 8)


def test_a_change_by_hand_does_not_forget_the_external_version() -> None:
    product = Product("MUG", Details("Mug", "", MUG_PRICE, active=True), external_version=7)

    product.replace(Details("By hand", "", MUG_PRICE, active=True))

    assert not product.replace(Details("Old", "", MUG_PRICE, active=True), external_version=6)


def test_an_adjustment_never_takes_what_is_set_aside(inventory: Inventory, order: UUID) -> None:
    inventory.receives(reserve(order, LAMP=2))

    assert inventory.shelves.shift("LAMP", Kind.ADJUST, -4, "broken") is None
    assert inventory.shelves.shift("LAMP", Kind.ADJUST, -3, "broken") is not None
    assert inventory.stock("LAMP") == (2, 2)
