"""Which orders the demo sends, and how they must end: the same for every run of the same size."""

from collections import Counter
from dataclasses import dataclass

PLAIN, SCARCE, DECLINED, NO_FUNDS = "plain", "scarce", "declined", "no funds"
SLOW, TIMEOUT, FLAKY = "slow", "time-out", "flaky"

_METHODS = {DECLINED: "tok_declined", NO_FUNDS: "tok_insufficient_funds", SLOW: "tok_slow",
            TIMEOUT: "tok_timeout", FLAKY: "tok_flaky"}  # fmt: skip
_KINDS = {0: SCARCE, 10: SCARCE, 3: DECLINED, 13: NO_FUNDS, 6: SLOW, 8: TIMEOUT, 16: FLAKY}
_ROUND = 20
CUSTOMERS = 5


@dataclass(frozen=True)
class Purchase:
    """One order to send; `twice` sends it twice at once, under one idempotency key."""

    number: int
    kind: str
    lines: tuple[tuple[str, int], ...]
    twice: bool = False

    @property
    def method(self) -> str:
        """The simulator's payment method."""
        return _METHODS.get(self.kind, "tok_visa")

    @property
    def customer(self) -> int:
        """Which of the demo's customers buys."""
        return self.number % CUSTOMERS


@dataclass(frozen=True)
class Plan:
    """A run: its purchases, its products with their stock and price, and the end that it must come to."""

    run: str
    purchases: tuple[Purchase, ...]
    stock: dict[str, int]
    prices: dict[str, int]

    @property
    def cancelled(self) -> dict[str, int]:
        """How many orders end cancelled, by reason."""
        kinds = Counter(each.kind for each in self.purchases)
        short = kinds[SCARCE] - kinds[SCARCE] // 2
        refused = kinds[DECLINED] + kinds[NO_FUNDS]
        return {reason: n for reason, n in (("out_of_stock", short), ("payment_declined", refused)) if n}

    @property
    def completed(self) -> int:
        """How many orders end completed."""
        return len(self.purchases) - sum(self.cancelled.values())

    @property
    def duplicates(self) -> int:
        """How many second copies must come to nothing."""
        return sum(each.twice for each in self.purchases)


def plan(run: str, orders: int) -> Plan:
    """Return the plan of a run: of twenty orders, two want what only half can get, two are declined, and so on."""
    lamp, mug, rare = (f"{run}-{name}" for name in ("LAMP", "MUG", "RARE"))

    def purchase(number: int) -> Purchase:
        kind = _KINDS.get(number % _ROUND, PLAIN)
        if kind == TIMEOUT and number % (2 * _ROUND) > _ROUND:
            kind = PLAIN  # each time-out holds an executor for seconds: one in forty shows it as well
        lines = ((rare, 1),) if kind == SCARCE else ((lamp, 1), (mug, 2)) if number % 2 else ((lamp, 1),)
        return Purchase(number, kind, lines, twice=kind == PLAIN and number % 10 == 7)

    purchases = tuple(purchase(number) for number in range(orders))
    buyers_of_rare = sum(each.kind == SCARCE for each in purchases)
    stock = {lamp: 2 * orders, mug: 2 * orders, rare: buyers_of_rare // 2}
    return Plan(run, purchases, stock, {lamp: 4900, mug: 1200, rare: 19900})
