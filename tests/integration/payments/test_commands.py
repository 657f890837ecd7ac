"""Commands that the executor takes itself: one call for each order, whoever dies, comes twice or overtakes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from payments_bench import authorize, books, capture, delivered, void

from payments_svc.breaker import Breaker
from payments_svc.handlers import LEASE_S
from payments_svc.simulator_provider import SimulatorProvider


@pytest.fixture
def open_breaker() -> Breaker:
    breaker = Breaker(None, fail_max=1, reset_s=60)
    with pytest.raises(ZeroDivisionError):
        breaker.call(lambda: 1 // 0)
    return breaker


def test_a_command_whose_executor_died_comes_again_when_its_lease_has_lapsed(payments, simulator, order):
    attempts = delivered(authorize(order))
    payments.killed_while_calling(simulator.url, attempts)
    assert not payments.noted(attempts[0])

    payments.lapse(order)
    payments.executor()(attempts)

    assert payments.said(order) == ["authorization_in_doubt", "payment_authorized"]
    assert payments.pauses() == []
    assert payments.noted(attempts[0])
    assert books(payments.provider, order) == [(1250, 0, 0)]


def test_the_lease_of_an_orders_first_call_is_as_long_as_any(payments, simulator, order):
    """The payment's row is not there yet: the time comes from elsewhere than its lock."""
    payments.killed_while_calling(simulator.url, delivered(authorize(order)))

    leased_until = payments.payment(order).intents["authorize"].leased_until

    assert LEASE_S - 5 < (leased_until - datetime.now(UTC)).total_seconds() < LEASE_S


@pytest.mark.parametrize("copies", [1, 2], ids=["delivered twice", "sent twice"])
def test_a_command_that_two_executors_take_side_by_side_leads_to_one_call(
    payments, simulator, provider, order, copies
):
    first = delivered(*[authorize(order)] * copies)

    with ThreadPoolExecutor(2) as pool:
        executors = [payments.executor(SimulatorProvider(simulator.url)) for _ in range(2)]
        list(pool.map(lambda executor, attempt: executor([attempt]), executors, [first[0], first[-1]]))
    payments.calls()

    assert set(payments.said(order)) == {"payment_authorized"}
    assert payments.payment(order).intents["authorize"].attempts == 1
    assert books(provider, order) == [(1250, 0, 0)]


def test_two_equal_commands_in_one_batch_lead_to_one_call(payments, provider, order):
    payments.receives(authorize(order), authorize(order))
    payments.receives(capture(order), capture(order))
    assert len(payments.pauses()) == 2  # of those that found the call under way

    payments.calls()

    assert payments.said(order) == ["payment_authorized", "payment_captured"]
    assert {each.attempts for each in payments.payment(order).intents.values()} == {1}
    assert books(provider, order) == [(0, 1250, 0)]


def test_a_command_that_comes_again_is_answered_with_what_is_known(payments, provider, order):
    attempts = delivered(authorize(order))

    for _ in range(2):
        payments.executor()(attempts)

    assert payments.said(order) == ["payment_authorized", "payment_authorized"]
    assert payments.payment(order).intents["authorize"].attempts == 1


def test_while_the_breaker_is_open_a_command_becomes_an_intent_and_a_timer(
    payments, provider, order, open_breaker
):
    attempts = delivered(authorize(order))

    payments.executor(breaker=open_breaker)(attempts)

    assert payments.noted(attempts[0])
    assert payments.payment(order).intents["authorize"].status == "waiting"
    assert 50 < payments.pauses()[0] <= 60
    assert books(provider, order) == []
    payments.calls()
    assert payments.said(order) == ["payment_authorized"]


def test_an_authorisation_that_nobody_claimed_is_closed_without_a_call(
    payments, provider, order, open_breaker
):
    payments.executor(breaker=open_breaker)(delivered(authorize(order)))

    payments.receives(void(order))
    payments.calls()

    assert payments.said(order) == ["payment_voided"]
    assert books(provider, order) == []


def test_a_void_that_overtakes_an_authorisation_in_the_executors_queue_declines_it(payments, provider, order):
    waits = delivered(authorize(order))
    payments.receives(void(order))

    payments.executor()(waits)

    assert payments.said(order) == ["payment_voided", "payment_declined"]
    assert payments.pauses() == []
    assert books(provider, order) == []
