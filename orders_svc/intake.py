"""How an order is accepted: priced on the server, refused with the field that is wrong, or begun."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
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


_WAITING = (
    "SELECT count(*) AS count FROM (SELECT FROM outbox WHERE available_at <= now() LIMIT %(most)s) AS due"
)


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


@dataclass
class BackPressure:
    """Refuses new orders while too many messages wait to leave: by number, never by age.

    Counted at most once a second in each process, and no further than the limit.
    """

    limit: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _counted_at: float = 0.0
    _is_full: bool = False

    def refuse_if_full(self, connection: Connection) -> None:
        """Raise Problem (503 with Retry-After) while the outbox is full."""
        with self._lock:
            due = time.monotonic() - self._counted_at > 1.0
            if due:
                self._counted_at = time.monotonic()
        if due:
            (found,) = run(connection, _WAITING, {"most": self.limit + 1})
            self._is_full = found.count > self.limit
        if self._is_full:
            raise Problem(TOO_BUSY, headers={"Retry-After": "5"})
