"""Invariants over money. Until there are partial shipments, an order is delivered and paid whole or not at all."""

from collections.abc import Iterator

from orderflow_cli.invariants.reading import Reading
from orderflow_cli.invariants.rules import Finding, between, within
from orderflow_cli.invariants.views import Charge, Payment

_FINAL = ("completed", "cancelled")


@within("money", "payments")
def authorized_once(reading: Reading) -> Iterator[Finding]:
    """Per order there is one payment, and one intent for each operation."""
    rows = reading.rows(
        "payments",
        """
        SELECT order_id, operation, count(*) AS times FROM intents GROUP BY 1, 2 HAVING count(*) > 1
        UNION ALL
        SELECT order_id, 'payment', count(*) FROM payments GROUP BY 1 HAVING count(*) > 1
        """,
    )
    for row in rows:
        yield Finding(str(row.order_id), f"{row.times} times {row.operation}", row.order_id)


@within("money", "payments")
def payments_agree_with_their_intents(reading: Reading) -> Iterator[Finding]:
    """A payment is authorised, captured, voided or refunded exactly if the provider said so."""
    rows = reading.rows(
        "payments",
        """
        SELECT order_id, payments.status, coalesce(approved, '{}') AS approved FROM payments
        LEFT JOIN (SELECT payment_id, array_agg(operation) AS approved FROM intents
                   WHERE status = 'succeeded' GROUP BY payment_id) AS intents ON payment_id = payments.id
        CROSS JOIN LATERAL (SELECT
            coalesce('authorize' = ANY(approved), false) AS authorized,
            coalesce('capture' = ANY(approved), false) AS captured,
            coalesce('void' = ANY(approved), false) AS voided,
            coalesce('refund' = ANY(approved), false) AS refunded) AS has
        WHERE captured <> (payments.status IN ('captured', 'refunding', 'refunded'))
           OR refunded <> (payments.status = 'refunded')
           OR (payments.status <> 'voided'
               AND (voided OR authorized <> (payments.status NOT IN ('authorizing', 'declined'))))
        """,
    )
    for row in rows:
        said = " and ".join(row.approved) or "nothing"
        yield Finding(str(row.order_id), f"{row.status}, but the provider approved {said}", row.order_id)


@between("money", "payments", "orders")
def payments_ask_what_orders_cost(reading: Reading) -> Iterator[Finding]:
    """A payment is over its order's total, in its currency."""
    for payment in reading.payments.values():
        order, asked = reading.orders.get(payment.order_id), (payment.amount, payment.currency)
        if order and payment.amount is not None and asked != (order.total, order.currency):
            wrong = f"asked {payment.amount} {payment.currency}, it costs {order.total} {order.currency}"
            yield Finding(str(order.id), wrong, order.id)


@between("money", "payments", "inventory", "orders")
def money_kept_equals_value_delivered(reading: Reading) -> Iterator[Finding]:
    """Per order: captured - refunded = value delivered and not returned - refunds asked for by staff."""
    for order in reading.orders.values():
        payment, goods = reading.payments.get(order.id), reading.goods.get(order.id)
        kept = payment.captured - payment.refunded if payment else 0
        delivered = order.total if goods and goods.sold else 0
        expected = delivered - (payment.refunded_by_staff if payment else 0)
        if order.status in _FINAL and kept != expected:
            yield Finding(str(order.id), f"{order.status}: kept {kept} of {expected} due", order.id)
        if order.status in {"pending", "reserved"} and kept:
            yield Finding(str(order.id), f"{order.status}: took {kept} before it was confirmed", order.id)


@between("money", "payments")
def payments_equal_the_providers_record(reading: Reading) -> Iterator[Finding]:
    """What a payment says is held, taken and given back is what the provider's own books say, in one charge."""
    for order_id in reading.payments.keys() | reading.charges.keys():
        payment, charges = reading.payments.get(order_id), reading.charges.get(order_id, [])
        wrong = _difference(payment, charges)
        if wrong:
            doing = f"the provider's answer to {payment.doing}" if payment and payment.doing else ""
            yield Finding(str(order_id), wrong, order_id, waits_for=doing)


def _difference(payment: Payment | None, charges: list[Charge]) -> str:
    if len(charges) > 1:
        return f"the provider authorised it {len(charges)} times"
    ours = _expected(payment)
    theirs = (charges[0].held, charges[0].captured, charges[0].refunded) if charges else (0, 0, 0)
    if ours != theirs:
        words = "{} held, {} captured, {} refunded"
        return f"the provider says {words.format(*theirs)}; Payments says {words.format(*ours)}"
    if payment and payment.currency and charges and charges[0].currency != payment.currency:
        return f"the provider says {charges[0].currency}, Payments says {payment.currency}"
    return ""


def _expected(payment: Payment | None) -> tuple[int, int, int]:
    """Return what should be held, captured and refunded, but for a call that is under way."""
    if payment is None or payment.amount is None:
        return 0, 0, 0
    holds = payment.status in {"authorized", "capturing", "voiding"}
    return payment.amount if holds else 0, payment.captured, payment.refunded


@between("money", "payments")
def open_calls_move_on(reading: Reading) -> Iterator[Finding]:
    """A call that is wanted is made, asked about or timed within minutes, unless the executors have been away."""
    query = """
        SELECT order_id, operation,
               updated_at < now() - interval '15 minutes'
               AND EXISTS (SELECT FROM inbox WHERE handled_at > now() - interval '3 minutes'
                           AND type IN ('payments.authorize_payment', 'payments.capture_payment',
                                        'payments.call_due')) AS lost
        FROM intents
        WHERE status IN ('waiting', 'leased', 'in_doubt') AND updated_at < now() - interval '1 minute'
          AND NOT EXISTS (SELECT FROM outbox WHERE timer_key = 'call:' || intents.id)
    """
    for row in reading.rows("payments", query):
        waits_for = "" if row.lost else "payments-executor"
        wrong = f"{row.operation} is wanted, and nothing happens to it"
        yield Finding(str(row.order_id), wrong, row.order_id, waits_for)


RULES = (
    authorized_once,
    payments_agree_with_their_intents,
    payments_ask_what_orders_cost,
    money_kept_equals_value_delivered,
    payments_equal_the_providers_record,
    open_calls_move_on,
)
