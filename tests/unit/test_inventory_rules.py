"""Stock under any sequence of commands: nothing is oversold, and every sum is right after every step."""

from uuid import UUID, uuid5

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from inventory_in_memory import HOLD_S, Inventory

from inventory_svc.domain import Kind, Status
from shared_events.contract import Message
from shared_events.contracts.inventory import (
    CommitStock,
    HoldElapsed,
    KeepReservation,
    ReleaseStock,
    ReserveStock,
    StockCommitRefused,
    StockCommitted,
    StockRejected,
    StockReserved,
)
from shared_events.contracts.values import Line

SKUS = ("DESK", "LAMP", "MUG")
ORDERS = [uuid5(UUID(int=0), str(number)) for number in range(6)]
WANTED = {
    order: tuple(Line(sku, 1 + (number + place) % 3) for place, sku in enumerate(SKUS[number % 2 :]))
    for number, order in enumerate(ORDERS)
}
orders = st.sampled_from(ORDERS)
skus = st.sampled_from(SKUS)


class Stock(RuleBasedStateMachine):
    """Several orders on few goods; each command may come at any time, any number of times."""

    def __init__(self) -> None:
        super().__init__()
        self.inventory = Inventory()
        self.released: set[UUID] = set()
        self.decided: dict[UUID, Message] = {}

    @initialize(on_hand=st.lists(st.integers(0, 6), min_size=3, max_size=3))
    def fill(self, on_hand: list[int]) -> None:
        for sku, quantity in zip(SKUS, on_hand, strict=True):
            self.inventory.has(sku, quantity)

    @rule(order=orders)
    def reserve(self, order: UUID) -> None:
        answer = self.inventory.answers(ReserveStock(order_id=order, lines=WANTED[order], hold_s=HOLD_S))
        if order in self.released:
            assert isinstance(answer, StockRejected)
        else:
            assert self.decided.setdefault(order, answer) == answer
            assert isinstance(answer, StockReserved | StockRejected)

    @rule(order=orders)
    def commit(self, order: UUID) -> None:
        was_rejected = isinstance(self.decided.get(order), StockRejected)
        answer = self.inventory.answers(CommitStock(order_id=order, lines=WANTED[order]))
        if order in self.released or was_rejected:
            assert isinstance(answer, StockCommitRefused)
        elif isinstance(answer, StockCommitted):
            self.decided.setdefault(order, StockReserved(order_id=order))
            assert self.inventory.status(order) is Status.COMMITTED
        else:
            assert isinstance(answer, StockCommitRefused)
            assert order not in self.decided
            self.decided[order] = StockRejected(order_id=order, shortages=answer.shortages)

    @rule(order=orders)
    def release(self, order: UUID) -> None:
        self.inventory.receives(ReleaseStock(order_id=order))
        self.released.add(order)

    @rule(order=orders)
    def hold_elapses(self, order: UUID) -> None:
        said = self.inventory.receives(HoldElapsed(order_id=order))
        assert bool(said) == self.inventory.shelves.holds(order)

    @rule(order=orders)
    def keep(self, order: UUID) -> None:
        self.inventory.receives(KeepReservation(order_id=order, hold_s=HOLD_S))

    @rule(sku=skus, quantity=st.integers(1, 3))
    def receive(self, sku: str, quantity: int) -> None:
        assert self.inventory.shelves.shift(sku, Kind.RECEIVE, quantity) is not None

    @rule(sku=skus, quantity=st.integers(-6, -1))
    def adjust(self, sku: str, quantity: int) -> None:
        available = self.inventory.shelves.stock[sku].available
        movement = self.inventory.shelves.shift(sku, Kind.ADJUST, quantity, "counted")
        assert (movement is None) == (available + quantity < 0)

    @invariant()
    def the_sums_are_right(self) -> None:
        assert self.inventory.broken_rules() == []

    @invariant()
    def a_released_order_holds_nothing(self) -> None:
        ended = {Status.RELEASED, Status.REJECTED}
        assert all(self.inventory.status(order) in ended for order in self.released)


Stock.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestStock = Stock.TestCase
