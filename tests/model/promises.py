"""What must hold: in every state, and when everything is at rest."""

from money_part import Money
from money_part import wrong_with as wrong_with_money
from one_step import ORDER, Held
from orders_part import QUANTITY, TOTAL, OrdersData
from stock_part import gone
from stock_part import wrong_with as wrong_with_stock

from inventory_svc.domain import Shelves, Status
from orders_svc.domain import CANCELLED, COMPLETED, CONFIRMED, FINAL, PENDING, RESERVED
from orders_svc.saga_engine import Standing
from shared_events.contracts.orders import StepTimedOut

_ENDS = {COMPLETED: ("OrderCompleted",), CANCELLED: ("OrderCancelled",)}


def always(orders: Held, inventory: Held, payments: Held) -> str:
    """Return the first promise that is broken, or nothing."""
    return (
        wrong_with_stock(inventory.data)
        or wrong_with_money(payments.data)
        or _order(orders.data)
        or _end(orders.data.order.status, inventory.data, payments.data)
        or _nothing_leaves_too_early(orders.data, inventory.data, payments.data)
    )


def somebody_wakes(orders: Held, inventory: Held, payments: Held) -> str:
    """Return the step that is waited for and for which no timer waits. For states in which none is on its way."""
    set_for = {
        (each.message.step, each.message.attempt)
        for each in orders.alarms
        if isinstance(each.message, StepTimedOut)
    }
    saga = orders.data.order.saga
    wanted = Standing.UNDOING if saga.undoing else Standing.SENT
    for name, its in saga.steps.items():
        if its.standing is wanted and (name, its.attempt) not in set_for:
            return f"nothing will ever wake the order: no timer for {name}"
    return ""


def at_rest(orders: Held, inventory: Held, payments: Held) -> str:
    """Return what is wrong when nothing is on its way and no timer waits."""
    order, shelves, money = orders.data.order, inventory.data, payments.data
    if order.status not in FINAL:
        return f"the order is {order.status} for ever"
    if money.payment and any(each.is_open for each in money.payment.intents.values()):
        return "a call to the provider was forgotten"
    if shelves.stock["MUG"].reserved:
        return "goods are set aside for ever"
    return always(orders, inventory, payments)


def _order(data: OrdersData) -> str:
    order = data.order
    if bool(order.reason) != order.saga.undoing:
        return f"an order that is {order.status} has {order.reason or 'no reason'}"
    if data.announced != _ENDS.get(order.status, ()):
        return f"an order that is {order.status} was announced as {data.announced}"
    if order.status in {CONFIRMED, COMPLETED} and not order.confirmed_at:
        return "an order went on without being confirmed"
    return ""


def _end(status: str, shelves: Shelves, money: Money) -> str:
    books, reservation = money.provider, shelves.reservations.get(ORDER)
    kept = books.captured - books.refunded
    if status == CANCELLED:
        if books.held or kept:
            return f"a cancelled order's money: {books.held} held, {kept} kept"
        if gone(shelves) or (reservation and reservation.status in {Status.HELD, Status.COMMITTED}):
            return "a cancelled order has goods"
    if status == COMPLETED:
        if (books.held, kept) != (0, TOTAL.amount):
            return f"a completed order's money: {books.held} held, {kept} kept"
        if gone(shelves) != QUANTITY:
            return f"{gone(shelves)} of {QUANTITY} pieces of a completed order left"
    return ""


def _nothing_leaves_too_early(data: OrdersData, shelves: Shelves, money: Money) -> str:
    if data.order.status in {PENDING, RESERVED} or not data.order.confirmed_at:
        if gone(shelves):
            return "goods left before the order was confirmed"
        if money.provider.captured:
            return "money was taken before the order was confirmed"
    return ""
