"""Inventory in the model: the last pieces of one product, which somebody else may want too."""

from collections.abc import Hashable, Iterable
from copy import copy

from one_step import ORDER, Held, Post, Stage, Turn, made_plain, moments
from orders_part import PRICE, QUANTITY

from inventory_svc.domain import Details, Kind, Movement, Product, Shelves, Status
from shared_events.contract import Message
from shared_events.contracts.values import Money

SKU = "MUG"


class Inventory:
    """The part."""

    name = "inventory"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def start(self) -> Turn:
        """Have as many pieces as the order wants, and none more."""
        shelves = Shelves()
        shelves.introduce(Product(SKU, Details("Mug", "", Money(PRICE, "EUR"), active=True)))
        shelves.shift(SKU, Kind.RECEIVE, QUANTITY)
        return Turn("there are just enough pieces", _held(shelves, Held(None, None)))

    def hear(self, held: Held, message: Message) -> Iterable[Turn]:
        """Let the handler run."""
        for now, when in moments(message):
            shelves = _copy(held.data)
            step = made_plain(self._stage.deliver(Post(self.name, message), shelves, held.alarms, now))
            after = _held(shelves, Held(None, None, step.alarms))
            yield Turn(f"{type(message).__name__}{when}", after, step.says, comes_by_itself=not when)

    def act(self, held: Held) -> Iterable[Turn]:
        """Let the pieces go elsewhere, once, if they are not set aside."""
        shelves = _copy(held.data)
        gone_before = any(each.kind is Kind.ADJUST for each in shelves.movements)
        if not gone_before and shelves.shift(SKU, Kind.ADJUST, -QUANTITY):
            yield Turn("the pieces go elsewhere", _held(shelves, held), comes_by_itself=False)

    def show(self, held: Held) -> str:
        """Say what is there, what is set aside, and what became of the order's goods."""
        shelves: Shelves = held.data
        its, stock = shelves.reservations.get(ORDER), shelves.stock[SKU]
        return f"{stock.on_hand} there, {stock.reserved} set aside, {its.status.value if its else 'nothing decided'}"


def wrong_with(shelves: Shelves) -> str:
    """Return what must never be."""
    stock = shelves.stock[SKU]
    held = [each for each in shelves.reservations.values() if each.status is Status.HELD]
    if stock.on_hand != sum(each.quantity for each in shelves.movements):
        return "the pieces are not the sum of their movements"
    if stock.reserved != sum(line.quantity for each in held for line in each.lines):
        return "what is set aside is not what the reservations hold"
    if not 0 <= stock.reserved <= stock.on_hand:
        return "more is set aside than there is"
    return ""


def gone(shelves: Shelves) -> int:
    """Return how many pieces left for the order and did not come back."""
    return -sum(each.quantity for each in shelves.movements if each.kind in {Kind.SALE, Kind.RESTOCK})


def _held(shelves: Shelves, held: Held) -> Held:
    for reservation in shelves.reservations.values():
        reservation.hold_s, reservation.shortages = None, ()
    return Held(_key(shelves), shelves, held.alarms)


def _key(shelves: Shelves) -> Hashable:
    reservation, stock = shelves.reservations.get(ORDER), shelves.stock[SKU]
    moved = tuple(sorted((each.kind, each.quantity) for each in shelves.movements))
    decided = (reservation.status, reservation.lines) if reservation else None
    return decided, stock.on_hand, stock.reserved, moved


def _copy(shelves: Shelves) -> Shelves:
    twin = Shelves()
    twin.products = shelves.products
    twin.stock = {sku: copy(stock) for sku, stock in shelves.stock.items()}
    twin.reservations = {order: copy(its) for order, its in shelves.reservations.items()}
    twin.movements = list[Movement](shelves.movements)
    return twin
