"""A whole inventory in memory: the real handlers on shelves that no database fills."""

from typing import cast
from uuid import UUID

from inventory_svc.domain import Details, Kind, Product, Shelves, Status
from inventory_svc.handlers import handlers
from shared_events.contract import Message, contract_of
from shared_events.contracts.inventory import CommitStock, ReleaseStock, ReserveStock
from shared_events.contracts.values import Line, Money
from shared_events.handlers import Handler, Output

HOLD_S = 3600.0
MUG_PRICE = Money(1200, "EUR")


def lines(**quantities: int) -> tuple[Line, ...]:
    return tuple(Line(sku, quantity) for sku, quantity in quantities.items())


def reserve(order_id: UUID, **quantities: int) -> ReserveStock:
    return ReserveStock(order_id=order_id, lines=lines(**quantities), hold_s=HOLD_S)


def commit(order_id: UUID, **quantities: int) -> CommitStock:
    return CommitStock(order_id=order_id, lines=lines(**quantities))


def release(order_id: UUID) -> ReleaseStock:
    return ReleaseStock(order_id=order_id)


class Inventory:
    """Receives messages one by one, as after any delay and in any order."""

    def __init__(self) -> None:
        self.shelves = Shelves()

    def has(self, sku: str, on_hand: int = 0) -> None:
        """Introduce a product with so many pieces."""
        self.shelves.introduce(Product(sku, Details(sku.title(), "", MUG_PRICE, active=True)))
        if on_hand:
            self.shelves.shift(sku, Kind.RECEIVE, on_hand)

    def receives(self, message: Message) -> list[Output]:
        """Handle a message and return what leaves because of it."""
        return list(cast("Handler", handlers.get(contract_of(message).type))(message, self.shelves))

    def answers(self, message: Message) -> Message:
        """Handle a message and return the one message that leaves at once."""
        [answer] = [each for each in self.receives(message) if isinstance(each, Message)]
        return answer

    def stock(self, sku: str) -> tuple[int, int]:
        """Return (on_hand, reserved)."""
        return self.shelves.stock[sku].on_hand, self.shelves.stock[sku].reserved

    def status(self, order_id: UUID) -> Status:
        """Return the status of an order's reservation."""
        return self.shelves.reservations[order_id].status

    def broken_rules(self) -> list[str]:
        """Return what does not hold, per SKU, of what must hold at all times."""
        shelves = self.shelves
        held = [each for each in shelves.reservations.values() if each.status is Status.HELD]
        broken = []
        for sku, stock in shelves.stock.items():
            moved = sum(each.quantity for each in shelves.movements if each.sku == sku)
            reserved = sum(line.quantity for each in held for line in each.lines if line.sku == sku)
            if stock.on_hand != moved:
                broken.append(f"{sku}: {stock.on_hand} on hand, movements say {moved}")
            if stock.reserved != reserved:
                broken.append(f"{sku}: {stock.reserved} reserved, reservations say {reserved}")
            if not 0 <= stock.reserved <= stock.on_hand:
                broken.append(f"{sku}: oversold")
        return broken
