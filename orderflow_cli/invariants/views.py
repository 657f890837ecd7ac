"""What several rules compare: one row for each order, as each service (and the provider) sees it."""

from collections import defaultdict
from typing import Any, NamedTuple
from uuid import UUID


class Order(NamedTuple):
    """An order in Orders; `lines` are those of a completed one, as `2 MUG, 1 LAMP`, sorted by SKU."""

    id: UUID
    status: str
    total: int
    currency: str
    lines: str


class Goods(NamedTuple):
    """An order in Inventory: its reservation's status, and what it took out of the stock and did not bring back."""

    order_id: UUID
    status: str | None
    sold: str


class Payment(NamedTuple):
    """An order in Payments, in minor units; `doing` is the operation whose outcome is still to come.

    A tombstone, voided before it was asked for, has no amount.
    """

    order_id: UUID
    status: str
    amount: int | None
    currency: str | None
    captured: int
    refunded: int
    refunded_by_staff: int
    doing: str | None


class Charge(NamedTuple):
    """An authorisation in the provider's own books."""

    reference: str
    currency: str
    held: int
    captured: int
    refunded: int


ORDERS = """
    SELECT id, status, total_amount, currency, CASE status WHEN 'completed' THEN
        (SELECT string_agg(format('%s %s', line ->> 'quantity', line ->> 'sku'), ', '
                           ORDER BY line ->> 'sku' COLLATE "C")
         FROM jsonb_array_elements(orders.lines) AS line) ELSE '' END AS lines
    FROM orders
"""

GOODS = """
    SELECT order_id, reservations.status, coalesce(moved.sold, '') AS sold
    FROM reservations FULL JOIN (
        SELECT order_id, string_agg(format('%s %s', pieces, sku), ', ' ORDER BY sku COLLATE "C") AS sold
        FROM (SELECT order_id, sku, -sum(quantity) AS pieces FROM stock_movements
              WHERE order_id IS NOT NULL GROUP BY order_id, sku HAVING sum(quantity) <> 0) AS lines
        GROUP BY order_id
    ) AS moved USING (order_id)
"""

PAYMENTS = """
    SELECT payments.order_id, payments.status, payments.amount, payments.currency,
           coalesce(done.captured * payments.amount, 0) AS captured, coalesce(back.amount, 0) AS refunded,
           coalesce(back.by_staff, 0) AS refunded_by_staff, done.doing
    FROM payments
    LEFT JOIN (SELECT payment_id, count(*) FILTER (WHERE operation = 'capture' AND status = 'succeeded') AS captured,
                      min(operation) FILTER (WHERE status IN ('waiting', 'leased', 'in_doubt')) AS doing
               FROM intents GROUP BY payment_id) AS done ON done.payment_id = payments.id
    LEFT JOIN (SELECT payment_id, sum(amount) AS amount,
                      sum(amount) FILTER (WHERE requested_by <> 'orders') AS by_staff
               FROM refunds WHERE status = 'succeeded' GROUP BY payment_id) AS back
           ON back.payment_id = payments.id
"""


class Ahead(NamedTuple):
    """The first of what is on its way for an order: a dead letter before a message before a timer."""

    place: int
    words: str


DEAD, MESSAGE, TIMER = range(3)
"""The places."""

# The end of a reservation's hold is a timer too, but it only asks Orders: it explains no contradiction.
WAITING = f"""
    SELECT DISTINCT ON (order_id) order_id, place, waits_for FROM (
        SELECT correlation_id AS order_id, available_at AS at,
               CASE type WHEN 'orders.step_timed_out' THEN {TIMER} ELSE {MESSAGE} END AS place,
               type || ' leaves at ' || to_char(available_at AT TIME ZONE 'UTC', 'HH24:MI:SS') || ' UTC' AS waits_for
        FROM outbox WHERE correlation_id = ANY(%(ids)s) AND type <> 'inventory.hold_elapsed'
        UNION ALL
        SELECT correlation_id, died_at, {DEAD},
               'a dead letter, ' || coalesce(type, 'unreadable') || ' (' || cause || ')'
        FROM dead_letters WHERE correlation_id = ANY(%(ids)s) AND status = 'open'
    ) AS waiting ORDER BY order_id, place, at
"""  # noqa: S608  constants


def charges(records: list[dict[str, Any]]) -> dict[UUID, list[Charge]]:
    """Return the provider's records by the order that they name."""
    found: dict[UUID, list[Charge]] = defaultdict(list)
    for record in records:
        values = (record[name] for name in Charge._fields)
        found[UUID(record["order_id"])].append(Charge(*values))
    return found
