"""The in-memory bus and given / when / expect keep the real bus's promises (docs/seams/in-memory-bus.md)."""

from random import Random
from uuid import uuid4

import pytest
from inventory_in_memory import HOLD_S, MUG_PRICE, Inventory, release, reserve

from inventory_svc.handlers import handlers
from shared_events.contracts.inventory import (
    HoldElapsed,
    ProductChanged,
    ReservationOverdue,
    StockReleased,
    StockReserved,
)
from shared_events.handlers import Cancel, Handlers, Later
from shared_events.testing import Given, InMemoryBus, Unexpected

ORDER = uuid4()


@pytest.fixture
def inventory() -> Inventory:
    made = Inventory()
    made.has("MUG", 5)
    return made


@pytest.fixture
def bus(inventory: Inventory) -> InMemoryBus:
    made = InMemoryBus()
    made.join(handlers, inventory.shelves)
    return made


def test_given_when_expect(inventory: Inventory) -> None:
    given = Given(handlers, inventory.shelves)

    given.when(reserve(ORDER, MUG=2)).expect(StockReserved(order_id=ORDER))
    given.when(release(ORDER)).expect(StockReleased(order_id=ORDER))
    with pytest.raises(Unexpected, match="StockReleased"):
        given.when(release(ORDER)).expect(StockReserved(order_id=ORDER))
    with pytest.raises(Unexpected, match="no handler"):
        given.when(StockReserved(order_id=ORDER))


def test_timers_count_when_one_is_expected(inventory: Inventory) -> None:
    said = Given(handlers, inventory.shelves).when(reserve(ORDER, MUG=2))

    hold = Later(HoldElapsed(order_id=ORDER), HOLD_S, f"hold:{ORDER}")
    with pytest.raises(Unexpected):
        said.expect(hold)
    assert any(isinstance(each, Later) for each in said.said)


def test_a_message_delivered_twice_has_one_effect(bus: InMemoryBus, inventory: Inventory) -> None:
    bus.send(reserve(ORDER, MUG=2))

    bus.deliver(times=2)

    assert inventory.stock("MUG") == (5, 2)
    assert len(bus.said(StockReserved)) == 1


def test_any_order_of_delivery_can_be_tried(bus: InMemoryBus, inventory: Inventory) -> None:
    bus.send(reserve(ORDER, MUG=2), release(ORDER))

    bus.deliver(1)
    bus.run(Random(1))

    assert inventory.stock("MUG") == (5, 0)


def test_timers_fire_when_the_test_lets_time_pass(bus: InMemoryBus) -> None:
    bus.send(reserve(ORDER, MUG=2))
    bus.run()

    bus.advance(HOLD_S - 1)
    bus.run()
    assert bus.said(ReservationOverdue) == []
    bus.advance(1)
    bus.run()
    assert bus.said(ReservationOverdue) == [ReservationOverdue(order_id=ORDER)]


def test_a_cancelled_timer_never_fires(bus: InMemoryBus) -> None:
    bus.send(reserve(ORDER, MUG=2), release(ORDER))
    bus.run()

    bus.advance(10 * HOLD_S)
    bus.run()

    assert bus.said(ReservationOverdue) == []


def test_a_service_says_only_what_its_contracts_allow(bus: InMemoryBus) -> None:
    liar = Handlers("orders")
    bus.join(liar, None)

    @liar.on(StockReserved)
    def lie(_message: StockReserved, _work: object) -> StockReleased:
        return StockReleased(order_id=ORDER)

    bus.send(reserve(ORDER, MUG=1))
    with pytest.raises(Unexpected, match="orders may not send"):
        bus.run()


def test_what_nobody_can_receive_is_kept_aside_unless_it_is_a_fact(
    bus: InMemoryBus, inventory: Inventory
) -> None:
    bus.send(reserve(ORDER, MUG=1), inventory.shelves.products["MUG"].fact())
    bus.run()

    assert bus.unroutable == [StockReserved(order_id=ORDER)]
    assert len(bus.said(ProductChanged)) == 1


def test_what_is_lost_never_arrives(bus: InMemoryBus, inventory: Inventory) -> None:
    bus.send(reserve(ORDER, MUG=1))

    bus.drop(type(reserve(ORDER)))

    assert bus.on_its_way == []
    with pytest.raises(Unexpected, match="no ReserveStock"):
        bus.deliver(type(reserve(ORDER)))


def test_nobody_but_a_service_cancels_its_timers(bus: InMemoryBus) -> None:
    with pytest.raises(Unexpected):
        bus.send(Cancel("hold"))


def test_services_that_talk_for_ever_are_stopped(bus: InMemoryBus) -> None:
    endless = Handlers("inventory")
    bus.join(endless, None)

    @endless.on(ProductChanged)
    def again(message: ProductChanged, _work: object) -> ProductChanged:
        return message

    bus.send(ProductChanged(sku="MUG", name="Mug", price=MUG_PRICE, active=True, aggregate_version=1))
    with pytest.raises(Unexpected, match="still talk"):
        bus.run(at_most=50)
