"""Products and stock: what they are and how they may change. Pure: no clock, no database.

At all times, per SKU: `on_hand` is the sum of its movements, `reserved` the sum of its lines in held
reservations, and 0 <= reserved <= on_hand.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from uuid_utils.compat import uuid7

from shared_events.contracts.inventory import ProductChanged
from shared_events.contracts.values import Line, Money, Shortage


@dataclass(frozen=True, slots=True)
class Details:
    """What staff decide about a product."""

    name: str
    description: str
    price: Money
    active: bool


@dataclass(slots=True)
class Product:
    """One entry of the catalogue. `version` counts the changes that the world is told of.

    `external_version` is the newest that a catalogue kept elsewhere has sent; null without such a catalogue.
    """

    sku: str
    details: Details
    version: int = 1
    external_version: int | None = None

    def replace(self, details: Details, external_version: int | None = None) -> bool:
        """Take new details and say whether anything changed; an older external version is ignored."""
        if external_version is not None:
            if external_version < (self.external_version or 0):
                return False
            self.external_version = external_version
        if details == self.details:
            return False
        self.details, self.version = details, self.version + 1
        return True

    def fact(self) -> ProductChanged:
        """Return its present state as the world is told."""
        its = self.details
        return ProductChanged(
            sku=self.sku, name=its.name, price=its.price, active=its.active, aggregate_version=self.version
        )


class Kind(StrEnum):
    """Why pieces came in or went out."""

    RECEIVE = "receive"
    ADJUST = "adjust"
    SALE = "sale"
    RESTOCK = "restock"


@dataclass(frozen=True, slots=True)
class Movement:
    """One entry of the ledger: so many pieces came in (positive) or went out (negative)."""

    sku: str
    kind: Kind
    quantity: int
    cause: str = ""
    order_id: UUID | None = None
    id: UUID = field(default_factory=uuid7)


@dataclass(slots=True)
class Stock:
    """How many pieces of a SKU there are, and how many of them are set aside for orders."""

    sku: str
    on_hand: int = 0
    reserved: int = 0

    @property
    def available(self) -> int:
        """How many can still be set aside."""
        return self.on_hand - self.reserved


class Status(StrEnum):
    """Where an order's goods are."""

    HELD = "held"
    """Set aside."""
    COMMITTED = "committed"
    """They left the stock."""
    RELEASED = "released"
    """Given back, or (without lines: a tombstone) never held, and never to be."""
    REJECTED = "rejected"
    """There was not enough, and the answer stays the same for ever."""


@dataclass(slots=True)
class Reservation:
    """What was decided about the goods of one order; the first decision answers every repeated command.

    `hold_s`: how long from now the goods are held, if that was just decided.
    """

    order_id: UUID
    status: Status
    lines: tuple[Line, ...] = ()
    shortages: tuple[Shortage, ...] = ()
    hold_s: float | None = None


class Shelves:
    """The products, stocks and reservations that one piece of work is about, and what may be done to them.

    As it is, it is a whole inventory in memory (tests). `tables.py` fills one from the rows it has locked, so
    a stock that is missing here is an unknown SKU, and a reservation that is missing was never made.
    """

    def __init__(self) -> None:
        self.products: dict[str, Product] = {}
        self.stock: dict[str, Stock] = {}
        self.reservations: dict[UUID, Reservation] = {}
        self.movements: list[Movement] = []

    # -- the catalogue -----------------------------------------------------------------------------

    def introduce(self, product: Product) -> None:
        """Take in a new product, of which there are no pieces yet."""
        self.products[product.sku] = product
        self.stock[product.sku] = Stock(product.sku)

    def products_after(self, sku: str, limit: int) -> list[Product]:
        """Return the next products in the order of their SKUs."""
        return [self.products[each] for each in sorted(self.products) if each > sku][:limit]

    # -- the stock ---------------------------------------------------------------------------------

    def shift(self, sku: str, kind: Kind, quantity: int, cause: str = "") -> Movement | None:
        """Bring pieces in or out; None, and no change, if that would take what is set aside."""
        stock = self.stock[sku]
        if stock.available + quantity < 0:
            return None
        return self._move(Movement(sku, kind, quantity, cause))

    def reserve(self, order_id: UUID, lines: Iterable[Line], hold_s: float | None = None) -> Reservation:
        """Set every line aside, or none; return what was decided, now or earlier."""
        known = self.reservations.get(order_id)
        if known is not None:
            return known
        wanted = merged(lines)
        shortages = self._shortages(wanted)
        if shortages:
            return self._note(Reservation(order_id, Status.REJECTED, shortages=shortages))
        for line in wanted:
            self.stock[line.sku].reserved += line.quantity
        return self._note(Reservation(order_id, Status.HELD, wanted, hold_s=hold_s))

    def commit(self, order_id: UUID, lines: Iterable[Line]) -> Reservation:
        """Take the goods out of the stock, reserving them anew if they never were; return what came of it."""
        reservation = self.reserve(order_id, lines)
        if reservation.status is Status.HELD:
            reservation.status = Status.COMMITTED
            for line in reservation.lines:
                self.stock[line.sku].reserved -= line.quantity
                self._move(Movement(line.sku, Kind.SALE, -line.quantity, order_id=order_id))
        return reservation

    def release(self, order_id: UUID) -> Reservation:
        """Give back whatever the order holds, and see to it that it never holds anything again."""
        reservation = self.reservations.get(order_id)
        if reservation is None:
            return self._note(Reservation(order_id, Status.RELEASED))
        if reservation.status is Status.HELD:
            for line in reservation.lines:
                self.stock[line.sku].reserved -= line.quantity
        elif reservation.status is Status.COMMITTED:
            for line in reservation.lines:
                self._move(Movement(line.sku, Kind.RESTOCK, line.quantity, order_id=order_id))
        if reservation.status is not Status.REJECTED:
            reservation.status = Status.RELEASED
        return reservation

    def keep(self, order_id: UUID, hold_s: float) -> bool:
        """Hold the order's goods for so long from now; False if it holds none."""
        if not self.holds(order_id):
            return False
        self.reservations[order_id].hold_s = hold_s
        return True

    def holds(self, order_id: UUID) -> bool:
        """Say whether goods are set aside for the order."""
        reservation = self.reservations.get(order_id)
        return reservation is not None and reservation.status is Status.HELD

    def _shortages(self, wanted: tuple[Line, ...]) -> tuple[Shortage, ...]:
        unknown = Stock("")
        found = [(line, self.stock.get(line.sku, unknown).available) for line in wanted]
        return tuple(
            Shortage(line.sku, line.quantity, available)
            for line, available in found
            if line.quantity > available
        )

    def _note(self, reservation: Reservation) -> Reservation:
        self.reservations[reservation.order_id] = reservation
        return reservation

    def _move(self, movement: Movement) -> Movement:
        self.stock[movement.sku].on_hand += movement.quantity
        self.movements.append(movement)
        return movement


def merged(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return the lines with each SKU once, in the order of the SKUs."""
    quantities: Counter[str] = Counter()
    for line in lines:
        quantities[line.sku] += line.quantity
    return tuple(Line(sku, quantity) for sku, quantity in sorted(quantities.items()))
