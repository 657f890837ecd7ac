"""The business steps, the same for every contender: SQL of one statement and one round trip each, and provider calls.

A step is one transaction in one service's database. The contender says in which process it runs, and when.
"""

from collections.abc import Callable
from typing import Any, NotRequired

from typing_extensions import TypedDict  # pydantic, in FastStream, takes no other before Python 3.12

Row = dict[str, Any]


class Line(TypedDict):
    """So many of one SKU."""

    sku: str
    quantity: int


class Order(TypedDict):
    """What travels from step to step; each SKU stands in one line only.

    `reference` is what the provider calls its payment, once that is authorised.
    """

    id: str
    lines: list[Line]
    amount: int
    currency: str
    method: str
    reference: NotRequired[str]


ACCEPT = """
    INSERT INTO orders (id, customer_id, lines, amount, currency, payment_method, shipping_address)
    VALUES (%(id)s, %(customer_id)s, %(lines)s, %(amount)s, %(currency)s, %(method)s, %(shipping_address)s)
    RETURNING created_at
"""

# Rows are locked in the order of their SKUs, so that no two orders wait for each other.
RESERVE = """
    WITH wanted AS (
        SELECT * FROM unnest(%(skus)s::text[], %(quantities)s::bigint[]) AS line (sku, quantity)
    ), locked AS MATERIALIZED (
        SELECT sku, quantity, on_hand - reserved >= quantity AS enough
        FROM stock JOIN wanted USING (sku) ORDER BY sku FOR UPDATE OF stock
    ), taken AS (
        UPDATE stock SET reserved = reserved + quantity FROM locked
        WHERE stock.sku = locked.sku
            AND (SELECT bool_and(enough) AND count(*) = cardinality(%(skus)s::text[]) FROM locked)
        RETURNING stock.sku, quantity
    )
    INSERT INTO reservations (order_id, sku, quantity) SELECT %(id)s::uuid, sku, quantity FROM taken
"""
"""Changes no row if anything is short."""

_END_OF_RESERVATION = """
    WITH locked AS MATERIALIZED (
        SELECT stock.sku, quantity FROM stock JOIN reservations USING (sku)
        WHERE order_id = %(id)s::uuid AND state = 'held' ORDER BY stock.sku FOR UPDATE
    ), ended AS (
        UPDATE reservations SET state = '{state}' FROM locked
        WHERE order_id = %(id)s::uuid AND reservations.sku = locked.sku
    )
    UPDATE stock SET {change} FROM locked WHERE stock.sku = locked.sku
"""
COMMIT = _END_OF_RESERVATION.format(
    state="committed", change="on_hand = on_hand - quantity, reserved = reserved - quantity"
)
RELEASE = _END_OF_RESERVATION.format(state="released", change="reserved = reserved - quantity")

AUTHORIZED = """
    INSERT INTO payments (order_id, amount, currency, status, reference)
    VALUES (%(id)s, %(amount)s, %(currency)s, 'authorized', %(reference)s)
"""
CAPTURED = "UPDATE payments SET status = 'captured' WHERE order_id = %(id)s"

COMPLETE = "UPDATE orders SET status = 'completed', completed_at = clock_timestamp() WHERE id = %(id)s"
REFUSE = "UPDATE orders SET status = 'refused' WHERE id = %(id)s"
PRICES = "SELECT sku, price, currency FROM products WHERE sku = ANY(%(skus)s)"


def wanted(order: Order) -> Row:
    """Return the parameters of RESERVE."""
    return {
        "id": order["id"],
        "skus": [line["sku"] for line in order["lines"]],
        "quantities": [line["quantity"] for line in order["lines"]],
    }


class ProviderTrouble(Exception):
    """The provider did not say yes or no."""


Ask = Callable[[str, str, Row], Row]
"""POSTs to the provider: path, key, body; returns its answer."""


def authorization(order: Order) -> tuple[str, str, Row]:
    """Return the request that asks the provider to hold the money: path, key and body."""
    body = {
        "order_id": order["id"],
        "amount": order["amount"],
        "currency": order["currency"],
        "method": order["method"],
    }
    return "/authorizations", f"{order['id']}:authorize", body


def capture(order: Order) -> tuple[str, str, Row]:
    """Return the request that asks the provider to take the money held."""
    body = {"reference": order["reference"], "amount": order["amount"], "currency": order["currency"]}
    return "/captures", f"{order['id']}:capture", body


def authorized(order: Order, answer: Row) -> Order | None:
    """Return the order with its payment's reference, None if the provider refuses. Raises ProviderTrouble."""
    if answer.get("outcome") == "refused":
        return None
    return {**order, "reference": approved(answer)}


def approved(answer: Row) -> str:
    """Return the reference of an approval. Raises ProviderTrouble for anything else."""
    if answer.get("outcome") != "approved":
        raise ProviderTrouble(str(answer))
    return str(answer["reference"])
