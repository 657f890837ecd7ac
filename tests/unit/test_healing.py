"""What healing repeats, and how a wait is told; the words that `check` and `order` use are those of the saga."""

from datetime import timedelta
from typing import Any

import pytest
from shop_in_memory import STEP_S, Shop

from orderflow_cli.waiting import BEFORE_PIVOT, COMMANDS, Wait, clock
from orders_svc.domain import HEALED, Order
from orders_svc.healing import words
from shared_events.contract import contract_of
from shared_events.contracts import inventory, orders, payments
from shared_events.handlers import Later


@pytest.fixture
def shop() -> Shop:
    return Shop()


def healed(shop: Shop, order: Order, *timed: str) -> list[Any]:
    return list(order.heal(shop.saga, "olga", "lost", timed, shop.bus.now))


def test_healing_repeats_the_command_and_moves_no_clock(shop: Shop) -> None:
    order = shop.place()
    before = order.saga

    (command,) = healed(shop, order, "stock")

    assert isinstance(command, inventory.ReserveStock)
    assert order.saga == before
    assert (order.news[-1].event, order.news[-1].detail) == (HEALED, "by olga: lost")


def test_healing_sets_a_clock_where_none_waits(shop: Shop) -> None:
    order = shop.place()

    _, timer = healed(shop, order)

    assert isinstance(timer, Later)
    assert isinstance(timer.message, orders.StepTimedOut)
    assert (timer.message.attempt, timer.after_s) == (1, STEP_S / 2)


def test_healing_a_cancelled_order_repeats_its_undos_and_a_completed_one_nothing(shop: Shop) -> None:
    order = shop.place()
    shop.bus.take("orders", order.hear(shop.saga, inventory.StockReserved(order_id=order.id), shop.bus.now))
    shop.cancel(order)
    assert {type(each) for each in healed(shop, order, "stock", "payment")} == {
        inventory.ReleaseStock,
        payments.VoidPayment,
    }
    for undone in (
        inventory.StockReleased(order_id=order.id),
        payments.PaymentVoided(order_id=order.id, refunded=False),
    ):
        order.hear(shop.saga, undone, shop.bus.now)
    assert order.status == "cancelled"

    assert {type(each) for each in healed(shop, order)} == {inventory.ReleaseStock, payments.VoidPayment}
    order.status = "completed"
    assert healed(shop, order) == []


def test_healing_a_cancelled_order_that_began_nothing_says_so_and_notes_nothing(shop: Shop) -> None:
    order = shop.place()
    assert words(order, shop.saga, shop.bus.now).startswith("asked again: ")
    order.hear(shop.saga, inventory.StockRejected(order_id=order.id, shortages=()), shop.bus.now)
    noted = len(order.news)

    assert order.status == "cancelled"
    assert words(order, shop.saga, shop.bus.now).startswith("nothing to do")
    assert healed(shop, order) == []
    assert len(order.news) == noted

    undone = shop.place()
    shop.cancel(undone)
    undone.hear(shop.saga, inventory.StockReleased(order_id=undone.id), shop.bus.now)
    assert words(undone, shop.saga, shop.bus.now) == "its undos repeated"


def test_the_words_of_a_wait_are_those_of_the_saga(shop: Shop) -> None:
    order = shop.place()

    sent = {(step.name, False): contract_of(step.send(order)).type for step in shop.saga.saga.steps}
    undone = {(s.name, True): contract_of(s.undo(order)).type for s in shop.saga.saga.steps if s.undo}

    assert sent | undone == COMMANDS
    names = [step.name for step in shop.saga.saga.steps]
    assert set(names[: names.index(shop.saga.saga.pivot) + 1]) == BEFORE_PIVOT


@pytest.mark.parametrize(("attempt", "undoing"), [(1, False), (2, False), (1, True)])
@pytest.mark.parametrize("step", ["stock", "payment", "commit"])
def test_check_and_the_saga_read_the_same_clock(shop: Shop, step: str, attempt: int, undoing: bool) -> None:
    due_s, now = 7.0, shop.bus.now
    order = shop.place()
    state = order.saga.moved(step, order.saga.steps["stock"].standing, attempt)
    if undoing:
        state = shop.saga.abandon(state, order, now)[0]

    again_at, given_up_at = shop.saga.clock(state, step, now + timedelta(seconds=due_s))

    in_seconds = [None if at is None else (at - now).total_seconds() for at in (again_at, given_up_at)]
    assert tuple(in_seconds) == clock(step, attempt, due_s, STEP_S / 2, undoing=undoing)


def test_a_wait_is_told_with_who_is_away() -> None:
    wait = Wait("payments.authorize_payment", 42.2, 18.0, 7300.0, in_doubt=True)

    assert wait.words({"payments": 1, "payments.calls": 0}) == (
        "payments' answer to authorize_payment, for 42 s; the provider's answer is in doubt; asked again in 18 s; "
        "given up in 2 h; payments-executor is away (its queue has no consumer)"
    )


@pytest.mark.parametrize("command", ["payments.authorize_payment", "payments.void_payment"])
def test_only_who_takes_a_command_can_be_missed(command: str) -> None:
    words = Wait(command, 1.0).words({"payments": 0, "payments.calls": 1})

    assert ("payments-worker is away" in words) == (command == "payments.void_payment")
