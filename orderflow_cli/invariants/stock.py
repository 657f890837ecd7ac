"""Invariants over stock."""

from collections.abc import Iterator

from orderflow_cli.invariants.reading import Reading
from orderflow_cli.invariants.rules import Finding, between, within


@within("stock", "inventory")
def stock_equals_its_movements(reading: Reading) -> Iterator[Finding]:
    """Per SKU, what is on hand is the sum of its movements."""
    rows = reading.rows(
        "inventory",
        """
        SELECT sku, coalesce(on_hand, 0) AS on_hand, coalesce(moved, 0) AS moved
        FROM stock FULL JOIN (SELECT sku, sum(quantity) AS moved FROM stock_movements GROUP BY sku) AS ledger
        USING (sku) WHERE coalesce(on_hand, 0) <> coalesce(moved, 0)
        """,
    )
    for row in rows:
        yield Finding(row.sku, f"{row.on_hand} on hand, but its movements add up to {row.moved}")


@within("stock", "inventory")
def reserved_equals_live_reservations(reading: Reading) -> Iterator[Finding]:
    """Per SKU, what is reserved is the sum of the reservations that are held."""
    rows = reading.rows(
        "inventory",
        """
        SELECT sku, coalesce(reserved, 0) AS reserved, coalesce(held, 0) AS held
        FROM stock FULL JOIN (
            SELECT sku, sum(quantity) AS held FROM reservation_lines JOIN reservations USING (order_id)
            WHERE status = 'held' GROUP BY sku) AS live
        USING (sku) WHERE coalesce(reserved, 0) <> coalesce(held, 0)
        """,
    )
    for row in rows:
        yield Finding(row.sku, f"{row.reserved} reserved, but orders hold {row.held}")


@within("stock", "inventory")
def never_oversold(reading: Reading) -> Iterator[Finding]:
    """Per SKU, 0 <= reserved <= on hand."""
    query = "SELECT sku, reserved, on_hand FROM stock WHERE NOT (0 <= reserved AND reserved <= on_hand)"
    for row in reading.rows("inventory", query):
        yield Finding(row.sku, f"{row.reserved} reserved of {row.on_hand} on hand")


@between("stock", "inventory", "orders")
def sold_equals_completed_orders(reading: Reading) -> Iterator[Finding]:
    """What left the stock for good is what completed orders were sold, line by line, and so per SKU."""
    on_their_way = {"confirmed", "cancelling"}
    for order in reading.orders.values():
        goods = reading.goods.get(order.id)
        sold = goods.sold if goods else ""
        if order.status not in on_their_way and sold != order.lines:
            wrong = (
                f"{order.status}: {sold or 'nothing'} left the stock, instead of {order.lines or 'nothing'}"
            )
            yield Finding(str(order.id), wrong, order.id)


RULES = (
    stock_equals_its_movements,
    reserved_equals_live_reservations,
    never_oversold,
    sold_equals_completed_orders,
)
