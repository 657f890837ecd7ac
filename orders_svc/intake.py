"""How an order is accepted: priced on the server, refused with the field that is wrong, or begun."""

import threading
import time
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row
from uuid_utils.compat import uuid7

from orders_svc.domain import Order, OrderLine
from shared_events.contracts.values import Money
from shared_events.statements import run
from shared_http import problems
from shared_http.fields import LARGEST
from shared_http.problems import Problem, at_body

UNKNOWN_SKU = problems.register(
    "unknown-sku",
    422,
    "There is no such product to order",
    "The SKU is not in the catalogue or is not active. A new product can be ordered after about two seconds.",
)
MIXED_CURRENCIES = problems.register(
    "mixed-currencies",
    422,
    "The lines have different currencies",
    "One order has one currency: order the products of each currency apart.",
)
TOTAL_TOO_LARGE = problems.register(
    "total-too-large", 422, "The order is worth too much", "The total is beyond what can be charged at once."
)
TOTAL_DIFFERS = problems.register(
    "total-differs",
    409,
    "The price is not the one you expected",
    "`expected_total` differs from the present total, which `detail` names. Show it to the customer.",
)
CUSTOMER_SUSPENDED = problems.register(
    "customer-suspended", 403, "The customer is suspended", "A suspended customer cannot place orders."
)
TOO_BUSY = problems.register(
    "too-busy",
    503,
    "Too much is waiting to be worked off",
    "New orders are refused for a while. Repeat it, with the same Idempotency-Key, after `Retry-After`.",
)


_LOOK = """
    SELECT now() AS read_at, count(*) AS waiting
    FROM (SELECT FROM outbox WHERE available_at <= now() LIMIT %(most)s) AS due
"""
_LOOK_EVERY_S = 1.0
_MOST_REMEMBERED = 10_000
"""So many products at most; then it begins anew. A few MB."""


def priced(
    body: Mapping[str, Any],
    customer_id: UUID,
    catalogue: Mapping[str, Row[Any]],
    *,
    suspended: bool,
) -> tuple[tuple[OrderLine, ...], Money]:
    """Return the merged lines at our prices, and the total. Raises Problem."""
    if suspended:
        raise Problem(CUSTOMER_SUSPENDED, f"customer {customer_id} is suspended")
    _refuse_unknown(body["lines"], catalogue)
    quantities: dict[str, int] = {}
    for line in body["lines"]:
        quantities[line["sku"]] = quantities.get(line["sku"], 0) + line["quantity"]
    products = [catalogue[sku] for sku in quantities]
    currencies = sorted({product.currency for product in products})
    if len(currencies) > 1:
        raise Problem(MIXED_CURRENCIES, f"the lines are priced in {' and '.join(currencies)}")
    lines = tuple(
        OrderLine(product.sku, product.name, quantities[product.sku], product.price_amount)
        for product in products
    )
    total = Money(sum(line.unit_price * line.quantity for line in lines), currencies[0])
    if total.amount > LARGEST:
        raise Problem(TOTAL_TOO_LARGE, errors=[at_body("#/lines", "worth too much together")])
    _refuse_drift(body["expected_total"], total)
    return lines, total


def _refuse_unknown(lines: list[dict[str, Any]], catalogue: Mapping[str, Row[Any]]) -> None:
    errors = [
        at_body(f"#/lines/{place}/sku", f"there is no product {line['sku']!r}")
        for place, line in enumerate(lines)
        if line["sku"] not in catalogue or not catalogue[line["sku"]].active
    ]
    if errors:
        raise Problem(UNKNOWN_SKU, errors=errors)


def _refuse_drift(expected: Mapping[str, Any] | None, total: Money) -> None:
    if expected and Money(expected["amount"], expected["currency"]) != total:
        raise Problem(
            TOTAL_DIFFERS,
            f"the total is {total.amount} {total.currency} (minor units)",
            errors=[at_body("#/expected_total", "differs from the present total")],
        )


def new_order(
    body: Mapping[str, Any], customer_id: UUID, lines: tuple[OrderLine, ...], total: Money, now: Any
) -> Order:
    """Return the order that the body asks for."""
    return Order(
        id=uuid7(),
        customer_id=customer_id,
        lines=lines,
        total=total,
        payment_method=body["payment_method"],
        shipping_address=body["shipping_address"],
        created_at=now,
        reference=body["reference"],
        metadata=body["metadata"],
    )


class Door:
    """What an API process remembers of the database from one order to the next: it saves each order a round trip.

    What is remembered can do no harm: the statement that writes an order refuses one that was priced by an old
    catalogue, or whose customer has been suspended (`tables.is_stale`).
    """

    def __init__(self, most_waiting: int) -> None:
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._due = 0.0
        self._is_full = False
        self._epoch: datetime | None = None
        self._products: dict[str, Row[Any]] = {}

    def refuse_if_full(self, connection: Connection) -> None:
        """Raise Problem (503 with Retry-After) while too many messages wait to leave: by number, never by age.

        Counted at most once a second in each process, and no further than the limit. It sets the clock, too.
        """
        with self._lock:
            is_due = time.monotonic() > self._due
            if is_due:
                self._due = time.monotonic() + _LOOK_EVERY_S
        if is_due:
            (found,) = run(connection, _LOOK, {"most": self._most_waiting + 1})
            self._is_full = found.waiting > self._most_waiting
            self._epoch = found.read_at - timedelta(seconds=time.monotonic())
        if self._is_full:
            raise Problem(TOO_BUSY, headers={"Retry-After": "5"})

    def now(self) -> datetime | None:
        """Return the database's time, by its last answer and our steady clock; None if it is to be asked again."""
        if self._epoch is None or time.monotonic() > self._due:
            return None
        return self._epoch + timedelta(seconds=time.monotonic())

    def remembered(self, skus: Collection[str]) -> dict[str, Row[Any]] | None:
        """Return these products as they were read last, if all of them were."""
        found = {sku: row for sku in skus if (row := self._products.get(sku)) is not None}
        return found if len(found) == len(skus) else None

    def remember(self, catalogue: Mapping[str, Row[Any]]) -> None:
        """Keep these products, in place of what was known of them."""
        if len(self._products) > _MOST_REMEMBERED:
            self._products = {}
        self._products.update(catalogue)
