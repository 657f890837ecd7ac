"""Invariants over orders."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from orderflow_cli.invariants.reading import Reading
from orderflow_cli.invariants.rules import Finding, between, within
from orderflow_cli.waiting import COMMANDS, Wait, clock

_NOTHING_HELD = {None, "released", "rejected"}
_NOTHING_KEPT = {None, "declined", "voided", "refunded"}


@within("orders", "orders")
def accepted_orders_exist(reading: Reading) -> Iterator[Finding]:
    """Every 202 that was written down (id, key) is a row in Orders."""
    ids = list({each.id for each in reading.accepted})
    query = """
        SELECT accepted.id FROM unnest(%(ids)s::uuid[]) AS accepted (id)
        LEFT JOIN orders USING (id) WHERE status IS NULL
    """
    for row in reading.rows("orders", query, ids=ids) if ids else ():
        yield Finding(str(row.id), "was answered 202, and is no order")


@within("orders", "orders")
def one_order_per_key(reading: Reading) -> Iterator[Finding]:
    """One (subject, method, path, key) made one order, which exists; and no order has two keys."""
    promised: dict[tuple[str, str], str] = {}
    for each in reading.accepted:
        if promised.setdefault((each.subject, each.key), each.id) != each.id:
            yield Finding(each.key, f"made two orders: {promised[each.subject, each.key]} and {each.id}")
    query = """
        SELECT min(key) AS key, id, count(*) AS keys, count(orders.id) AS orders
        FROM (SELECT key, split_part(headers ->> 'Location', '/', 4)::uuid AS named FROM idempotency_keys
              WHERE method = 'POST' AND path = '/v1/orders' AND status < 300) AS answers
        LEFT JOIN orders ON orders.id = named GROUP BY named, id HAVING count(*) <> 1 OR count(orders.id) = 0
    """
    for row in reading.rows("orders", query):
        wrong = f"order {row.id} has {row.keys} keys" if row.orders else "made an order that does not exist"
        yield Finding(row.key, wrong)


@within("orders", "orders")
def totals_equal_their_lines(reading: Reading) -> Iterator[Finding]:
    """An order's total is the sum of its lines."""
    query = """
        SELECT id, total_amount, sum((line ->> 'quantity')::bigint * (line ->> 'unit_price')::bigint) AS added
        FROM orders LEFT JOIN LATERAL jsonb_array_elements(lines) AS line ON true
        GROUP BY id HAVING total_amount
            IS DISTINCT FROM sum((line ->> 'quantity')::bigint * (line ->> 'unit_price')::bigint)
    """
    for row in reading.rows("orders", query):
        yield Finding(str(row.id), f"costs {row.total_amount}, but its lines add up to {row.added}")


@within("orders", "orders")
def cancelled_orders_say_why(reading: Reading) -> Iterator[Finding]:
    """An order has a reason exactly if it is cancelled, or about to be."""
    query = """
        SELECT id, status, reason FROM orders
        WHERE (status IN ('cancelling', 'cancelled')) <> (coalesce(reason, '') <> '')
    """
    for row in reading.rows("orders", query):
        yield Finding(str(row.id), f"{row.status} for {row.reason or 'no reason'}")


@between("orders", "orders", "inventory", "payments")
def cancelled_if_and_only_if_nothing_is_held(reading: Reading) -> Iterator[Finding]:
    """A cancelled order holds no goods and no money; a completed one has its goods, and was paid."""
    for order in reading.orders.values():
        goods, payment = reading.goods.get(order.id), reading.payments.get(order.id)
        stock, money = goods.status if goods else None, payment.status if payment else None
        empty = stock in _NOTHING_HELD and money in _NOTHING_KEPT
        whole = stock == "committed" and money in {"captured", "refunding", "refunded"}
        if (order.status == "cancelled" and not empty) or (order.status == "completed" and not whole):
            wrong = f"{order.status}, but its goods are {stock or 'not known'} and its payment {money or 'not known'}"
            yield Finding(str(order.id), wrong, order.id)


@between("orders", "inventory", "payments", "orders")
def nothing_is_held_for_no_order(reading: Reading) -> Iterator[Finding]:
    """Every reservation and every payment is of an order that Orders knows."""
    for what, known in (("a reservation", reading.goods), ("a payment", reading.payments)):
        strangers: set[UUID] = known.keys() - reading.orders.keys()
        for order_id in strangers:
            yield Finding(str(order_id), f"{what} is of no order", order_id)


@between("orders", "orders", "inventory", "payments")
def open_orders_move_on(reading: Reading) -> Iterator[Finding]:
    """Every order past its deadline is final, or waits for a named step or undo; and none waits for nothing.

    An order that waits for nothing is taken up by the sweeper after 15 minutes: twice that is too long,
    unless Orders' workers have been away.
    """
    for row in reading.rows("orders", _OPEN, final_after_s=reading.sources.final_after_s):
        wrong = f"{row.status}{', past its deadline' if row.late else ''}"
        waits_for = "; and ".join(wait.words(reading.consumers) for wait in _waits(row))
        if not row.at_work and not row.timers:
            waits_for = f"Orders' workers, which are silent, for {waits_for}"
        elif not row.timers and row.idle:
            wrong, waits_for = f"{wrong}, and nothing happens to it", ""
        elif row.late and row.status in {"pending", "reserved"}:
            waits_for = ""  # it should have been given up, unless a message is on its way
        yield Finding(str(row.id), wrong, row.id, waits_for)


# A timer as [seconds until it is due, seconds that it waits in all], by its step.
_OPEN = """
    SELECT id, status, saga, updated_at < now() - interval '30 minutes' AS idle,
           created_at < now() - make_interval(secs => %(final_after_s)s) AS late,
           (SELECT jsonb_object_agg(split_part(timer_key, ':', 2), jsonb_build_array(
                       extract(epoch FROM available_at - now()), extract(epoch FROM available_at - created_at)))
            FROM outbox WHERE correlation_id = orders.id AND timer_key IS NOT NULL) AS timers,
           extract(epoch FROM now() - coalesce(
               (SELECT max(at) FROM order_entries WHERE order_id = orders.id
                AND event !~ '^(swept|healed)$| timed out$| in doubt$'), created_at))::float8 AS since_s,
           EXISTS (SELECT FROM inbox WHERE handled_at > now() - interval '3 minutes') AS at_work
    FROM orders WHERE status NOT IN ('completed', 'cancelled')
"""


def _waits(row: Any) -> Iterator[Wait]:
    """Yield the answers that an open order waits for."""
    undoing = row.saga["undoing"]
    for step, (standing, attempt) in row.saga["steps"].items():
        if standing == ("undoing" if undoing else "sent"):
            due_s, pause_s = (row.timers or {}).get(step, (None, 0.0))
            again_s, given_up_s = clock(step, attempt, due_s, pause_s, undoing=undoing)
            in_doubt = step in row.saga["doubted"]
            yield Wait(COMMANDS[step, undoing], row.since_s, again_s, given_up_s, in_doubt)


RULES = (
    accepted_orders_exist,
    one_order_per_key,
    totals_equal_their_lines,
    cancelled_orders_say_why,
    cancelled_if_and_only_if_nothing_is_held,
    nothing_is_held_for_no_order,
    open_orders_move_on,
)
