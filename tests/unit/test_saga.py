"""The checkout saga: every step, refusal, silence and cancellation, with the replies played by hand."""

from typing import Any
from uuid import uuid4

import pytest
from shop_in_memory import STEP_S, Shop

from orders_svc.domain import CannotCancel, Order
from shared_events.contract import Message, Reply
from shared_events.contracts import inventory, orders, payments
from shared_events.contracts.values import Shortage

PAYMENT_ID = uuid4()


def reserved(order: Order) -> Reply:
    return inventory.StockReserved(order_id=order.id)


def rejected(order: Order) -> Reply:
    return inventory.StockRejected(order_id=order.id, shortages=(Shortage("MUG", 2, 0),))


def authorized(order: Order) -> Reply:
    return payments.PaymentAuthorized(order_id=order.id, payment_id=PAYMENT_ID)


def declined(order: Order) -> Reply:
    return payments.PaymentDeclined(order_id=order.id, payment_id=PAYMENT_ID, code="declined", detail="No.")


def committed(order: Order) -> Reply:
    return inventory.StockCommitted(order_id=order.id)


def commit_refused(order: Order) -> Reply:
    return inventory.StockCommitRefused(order_id=order.id, shortages=())


def captured(order: Order) -> Reply:
    return payments.PaymentCaptured(order_id=order.id, payment_id=PAYMENT_ID)


def capture_refused(order: Order) -> Reply:
    return payments.CaptureRefused(order_id=order.id, code="expired", detail="")


def released(order: Order) -> Reply:
    return inventory.StockReleased(order_id=order.id)


def voided(order: Order) -> Reply:
    return payments.PaymentVoided(order_id=order.id, refunded=False)


HAPPY = (reserved, authorized, committed, captured)
STATUSES = ("pending", "reserved", "confirmed", "confirmed", "completed")
COMMANDS = (
    inventory.ReserveStock,
    payments.AuthorizePayment,
    inventory.CommitStock,
    payments.CapturePayment,
)
UNDO = {inventory.ReleaseStock: released, payments.VoidPayment: voided}


@pytest.fixture
def shop() -> Shop:
    return Shop()


def after(shop: Shop, steps: int) -> Order:
    """Return an order after so many successful steps."""
    order = shop.place()
    for reply in HAPPY[:steps]:
        hear(shop, reply(order))
    return order


def hear(shop: Shop, *replies: Message) -> None:
    """Deliver replies of the participants."""
    shop.bus.send(*replies)
    shop.bus.run()


def asked(shop: Shop) -> list[type[Message]]:
    """Return the commands that were sent, and forget them."""
    commands = [type(each) for each in shop.bus.unroutable]
    shop.bus.unroutable.clear()
    return commands


def finish_undo(shop: Shop, order: Order) -> None:
    """Answer every undo that is asked for."""
    for command in asked(shop):
        if command in UNDO:
            hear(shop, UNDO[command](order))


def ends(shop: Shop) -> list[str]:
    return [type(each).__name__ for each in shop.bus.sent if isinstance(each, ENDS)]


ENDS = (orders.OrderCompleted, orders.OrderCancelled)


def test_success_reads_down(shop: Shop) -> None:
    order = shop.place()

    for step, reply in enumerate(HAPPY):
        assert order.status == STATUSES[step]
        assert asked(shop) == [COMMANDS[step]]
        hear(shop, reply(order))

    assert order.status == "completed"
    assert ends(shop) == ["OrderCompleted"]
    assert len(shop.bus.said(orders.OrderConfirmed)) == 1
    assert shop.bus.timers == []
    assert order.reason is None


@pytest.mark.parametrize(
    ("steps", "refusal", "reason", "undos"),
    [
        (0, rejected, "out_of_stock", []),
        (1, declined, "payment_declined", [inventory.ReleaseStock]),
        (2, commit_refused, "out_of_stock", [payments.VoidPayment, inventory.ReleaseStock]),
        (3, capture_refused, "payment_declined", [payments.VoidPayment, inventory.ReleaseStock]),
    ],
    ids=["stock", "payment", "commit", "capture"],
)
def test_failure_reads_up(shop: Shop, steps: int, refusal: Any, reason: str, undos: list[type]) -> None:
    order = after(shop, steps)
    asked(shop)

    hear(shop, refusal(order))

    assert order.reason == reason
    assert order.status == ("cancelling" if undos else "cancelled")
    assert shop.bus.unroutable == [] or [type(each) for each in shop.bus.unroutable] == undos
    finish_undo(shop, order)
    assert order.status == "cancelled"
    assert ends(shop) == ["OrderCancelled"]
    assert shop.bus.timers == []


@pytest.mark.parametrize("steps", [0, 1], ids=["stock", "payment"])
def test_before_the_pivot_silence_is_asked_again_and_then_undone_with_the_silent_step(
    shop: Shop, steps: int
) -> None:
    order = after(shop, steps)
    asked(shop)

    shop.bus.advance(STEP_S / 2)
    shop.bus.run()
    assert asked(shop) == [COMMANDS[steps]]
    shop.bus.advance(STEP_S / 2)
    shop.bus.run()

    assert order.reason == "expired"
    assert order.status == "cancelling"
    silent = [payments.VoidPayment] * steps + [inventory.ReleaseStock]
    assert [type(each) for each in shop.bus.unroutable] == silent
    finish_undo(shop, order)
    assert order.status == "cancelled"


def test_a_payment_that_was_reported_in_doubt_and_stays_silent_says_so(shop: Shop) -> None:
    order = after(shop, 1)

    hear(shop, payments.AuthorizationInDoubt(order_id=order.id))
    for _ in range(2):
        shop.bus.advance(STEP_S / 2)
        shop.bus.run()

    assert order.reason == "payment_in_doubt"


def test_a_reply_after_the_second_asking_is_in_time(shop: Shop) -> None:
    order = after(shop, 0)

    shop.bus.advance(STEP_S * 0.9)
    hear(shop, reserved(order))

    assert order.status == "reserved"


@pytest.mark.parametrize("steps", [2, 3], ids=["commit", "capture"])
def test_after_the_pivot_silence_is_asked_again_for_ever(shop: Shop, steps: int) -> None:
    order = after(shop, steps)
    asked(shop)

    for _ in range(30):
        shop.bus.advance(700)
        shop.bus.run()
        assert asked(shop) == [COMMANDS[steps]]
    for reply in HAPPY[steps:]:
        hear(shop, reply(order))

    assert order.status == "completed"


@pytest.mark.parametrize("asked_before", [0, 1], ids=["first", "second"])
def test_a_timer_that_is_itself_late_starts_its_time_anew(shop: Shop, asked_before: int) -> None:
    """Our own outage, or the broker's, must not end an order."""
    order = after(shop, 0)
    for _ in range(asked_before):
        shop.bus.advance(STEP_S / 2)
        shop.bus.run()
    asked(shop)

    shop.bus.advance(STEP_S * 50)
    shop.bus.run()

    assert order.status == "pending"
    assert not order.saga.undoing
    hear(shop, reserved(order))
    assert order.status == "reserved"


def test_a_timer_of_a_finished_step_does_nothing(shop: Shop) -> None:
    order = shop.place()
    timer = shop.bus.timers[0].message
    hear(shop, reserved(order))
    before, _ = order.saga, asked(shop)

    hear(shop, timer)

    assert order.saga == before
    assert asked(shop) == []


@pytest.mark.parametrize("steps", range(4), ids=(*STATUSES[:3], "committed"))
def test_a_timer_that_was_on_its_way_when_the_order_was_cancelled_repeats_no_step(
    shop: Shop, steps: int
) -> None:
    """Else a cancelled order would ask for its goods for ever."""
    order = after(shop, steps)
    asked(shop)
    timer = shop.bus.timers[0].message
    shop.cancel(order)
    finish_undo(shop, order)

    hear(shop, timer)

    assert order.status == "cancelled"
    assert asked(shop) == []
    assert shop.bus.timers == []


@pytest.mark.parametrize(
    ("steps", "late", "undo"),
    [
        (0, reserved, inventory.ReleaseStock),
        (1, authorized, payments.VoidPayment),
        (2, committed, inventory.ReleaseStock),
        (3, captured, payments.VoidPayment),
    ],
    ids=["stock", "payment", "commit", "capture"],
)
def test_a_success_that_comes_after_the_end_is_undone_again(
    shop: Shop, steps: int, late: Any, undo: type[Message]
) -> None:
    order = after(shop, steps)
    shop.cancel(order)
    finish_undo(shop, order)
    assert order.status == "cancelled"

    hear(shop, late(order))

    assert asked(shop) == [undo]
    assert order.status == "cancelled"
    assert ends(shop) == ["OrderCancelled"]


@pytest.mark.parametrize("steps", range(4), ids=(*STATUSES[:3], "committed"))
@pytest.mark.parametrize("reason", ["by_customer", "by_staff"])
def test_an_order_can_be_cancelled_at_every_stage_before_its_end(shop: Shop, steps: int, reason: str) -> None:
    order = after(shop, steps)
    asked(shop)

    shop.cancel(order, reason)
    shop.cancel(order, "by_staff")

    assert order.reason == reason
    assert order.status == "cancelling"
    begun = [payments.VoidPayment, inventory.ReleaseStock] if steps else [inventory.ReleaseStock]
    assert [type(each) for each in shop.bus.unroutable] == begun
    finish_undo(shop, order)
    assert order.status == "cancelled"
    shop.cancel(order)
    assert asked(shop) == []
    assert ends(shop) == ["OrderCancelled"]


def test_a_completed_order_cannot_be_cancelled(shop: Shop) -> None:
    order = after(shop, 4)

    with pytest.raises(CannotCancel):
        shop.cancel(order)


def test_an_undo_is_asked_for_without_limit(shop: Shop) -> None:
    order = after(shop, 1)
    shop.cancel(order)
    asked(shop)

    for _ in range(30):
        shop.bus.advance(700)
        shop.bus.run()
        assert set(asked(shop)) == {payments.VoidPayment, inventory.ReleaseStock}
        assert order.status == "cancelling"
    hear(shop, voided(order), released(order))

    assert order.status == "cancelled"
    assert shop.bus.timers == []


def test_the_first_cause_is_the_reason_for_ever(shop: Shop) -> None:
    order = after(shop, 1)
    hear(shop, declined(order))

    shop.cancel(order)
    finish_undo(shop, order)

    assert order.reason == "payment_declined"


def test_who_is_suspended_before_confirmation_is_cancelled(shop: Shop) -> None:
    order = after(shop, 1)
    order.customer_suspended = True

    hear(shop, authorized(order))

    assert (order.status, order.reason) == ("cancelling", "customer_suspended")
    finish_undo(shop, order)
    assert order.status == "cancelled"


def test_who_is_suspended_after_confirmation_keeps_the_order(shop: Shop) -> None:
    order = after(shop, 2)
    order.customer_suspended = True

    hear(shop, committed(order), captured(order))

    assert order.status == "completed"


@pytest.mark.parametrize(
    ("status", "steps", "answer"),
    [
        ("pending", 0, inventory.KeepReservation),
        ("reserved", 1, inventory.KeepReservation),
    ],
)
def test_an_overdue_reservation_is_kept_only_while_it_is_needed(
    shop: Shop, status: str, steps: int, answer: type[Message]
) -> None:
    order = after(shop, steps)
    asked(shop)

    hear(shop, inventory.ReservationOverdue(order_id=order.id))

    assert order.status == status
    assert asked(shop) == [answer]


def test_an_overdue_reservation_of_an_unknown_order_is_released(shop: Shop) -> None:
    hear(shop, inventory.ReservationOverdue(order_id=uuid4()))

    assert asked(shop) == [inventory.ReleaseStock]


def test_an_old_question_about_a_completed_order_is_not_answered(shop: Shop) -> None:
    order = after(shop, 4)
    asked(shop)

    hear(shop, inventory.ReservationOverdue(order_id=order.id))

    assert order.status == "completed"
    assert asked(shop) == []  # a release would put sold goods back
