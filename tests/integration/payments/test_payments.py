"""Payments on real PostgreSQL and the real simulator: intent, then call, then result, whoever dies between."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from payments_bench import authorize, books, capture, delivered, void
from simulator_process import SimulatorProcess
from uuid_utils.compat import uuid7

from payments_svc.simulator_provider import SimulatorProvider


@pytest.mark.parametrize("amount", [1250, 0, 10**12])
def test_an_order_is_authorized_captured_and_voided_with_a_refund(payments, provider, order, amount):
    payments.receives(authorize(order, amount=amount))
    payments.receives(capture(order))
    assert payments.due() == []
    assert books(provider, order) == [(0, amount, 0)]

    payments.receives(void(order))
    payments.calls()

    assert payments.said(order) == ["payment_authorized", "payment_captured", "payment_voided"]
    assert books(provider, order) == [(0, amount, amount)]
    assert payments.payment(order).status == "refunded"


def test_a_batch_of_many_orders_is_taken_at_once(payments, provider):
    orders = [UUID(str(uuid7())) for _ in range(20)]

    payments.receives(*(authorize(each) for each in orders))
    payments.receives(*(capture(each) for each in orders), *(void(UUID(str(uuid7()))) for _ in range(5)))

    assert all(payments.said(each) == ["payment_authorized", "payment_captured"] for each in orders)


def test_a_declined_payment_says_why_every_time(payments, order):
    for _ in range(2):
        payments.receives(authorize(order, "tok_declined"))

    assert payments.said(order) == ["payment_declined", "payment_declined"]
    assert payments.payment(order).intents["authorize"].code == "card_declined"


def test_a_void_that_finds_nothing_refuses_what_comes_later(payments, provider, order):
    payments.receives(void(order))
    payments.receives(authorize(order))
    payments.receives(void(order))

    assert payments.said(order) == ["payment_voided", "payment_declined", "payment_voided"]
    assert payments.due() == []
    assert books(provider, order) == []


def test_a_lost_answer_is_found_and_the_order_is_charged_once(payments, provider, order):
    payments.receives(authorize(order, "tok_timeout"))
    payments.calls()
    payments.receives(capture(order))

    assert payments.said(order) == ["authorization_in_doubt", "payment_authorized", "payment_captured"]
    assert books(provider, order) == [(0, 1250, 0)]


def test_a_flaky_provider_is_called_until_it_works(payments, provider, order):
    payments.receives(authorize(order, "tok_flaky"))
    payments.calls()

    assert payments.said(order) == ["payment_authorized"]
    assert books(provider, order) == [(1250, 0, 0)]


def test_an_executor_killed_between_the_call_and_the_result_leaves_one_charge(payments, simulator, order):
    attempts = delivered(authorize(order))
    payments.killed_while_calling(simulator.url, attempts)
    assert books(payments.provider, order) == [(1250, 0, 0)]

    payments.executor()(attempts)  # the broker delivers it again while the lease still lives
    assert payments.said(order) == []
    assert 5 < payments.pauses()[0] < 13
    payments.lapse(order)
    payments.calls()

    assert payments.said(order) == ["authorization_in_doubt", "payment_authorized"]
    assert books(payments.provider, order) == [(1250, 0, 0)]


def test_a_void_during_a_lost_call_follows_it(payments, simulator, order):
    attempts = delivered(authorize(order))
    payments.killed_while_calling(simulator.url, attempts)

    payments.receives(void(order))
    assert payments.said(order) == []
    payments.executor()(attempts)
    payments.lapse(order)
    payments.calls()

    assert payments.said(order) == ["payment_declined", "authorization_in_doubt", "payment_voided"]
    assert books(payments.provider, order) == [(0, 0, 0)]


class OvertakenWhileCalling(SimulatorProvider):
    """While it waits for the answer its lease lapses and another executor does the work."""

    meanwhile: Any = None

    def authorize(self, *arguments: Any) -> Any:
        outcome = super().authorize(*arguments)
        self.meanwhile()
        return outcome


def test_the_late_result_of_an_old_lease_is_ignored(payments, simulator, order):
    slow = OvertakenWhileCalling(simulator.url)

    def meanwhile() -> None:
        payments.lapse(order)
        payments.receives(void(order))
        payments.calls()

    slow.meanwhile = meanwhile
    payments.executor(slow)(delivered(authorize(order)))

    assert payments.said(order) == ["authorization_in_doubt", "payment_voided"]
    assert books(payments.provider, order) == [(0, 0, 0)]
    assert payments.payment(order).status == "voided"


def test_a_copy_delivered_during_the_call_does_not_keep_the_result_out(payments, simulator, order):
    attempts = delivered(authorize(order))
    slow = OvertakenWhileCalling(simulator.url)
    slow.meanwhile = lambda: payments.executor()(attempts)

    payments.executor(slow)(attempts)

    assert payments.said(order) == ["payment_authorized"]
    payments.calls()
    assert books(payments.provider, order) == [(1250, 0, 0)]


def test_an_unreachable_provider_is_asked_again_later_and_nothing_is_doubted(payments, order):
    payments.provider = SimulatorProvider("http://127.0.0.1:1")
    payments.receives(authorize(order))
    for _ in range(2):
        payments.executor()(payments.due())

    assert payments.said(order) == []
    assert 3 < payments.pauses()[0] < 5


def test_a_void_is_repeated_until_the_provider_is_back(payments, provider, simulator, order):
    payments.receives(authorize(order))
    simulator.stop()
    payments.receives(void(order))
    for _ in range(3):
        payments.executor()(payments.due())
    assert payments.said(order) == ["payment_authorized"]

    simulator.start()
    payments.calls()

    assert payments.said(order) == ["payment_authorized", "payment_voided"]
    assert books(provider, order) == [(0, 0, 0)]


def test_many_executors_at_once_charge_each_order_once(payments, simulator: SimulatorProcess, provider):
    orders = [UUID(str(uuid7())) for _ in range(12)]
    attempts = delivered(*(authorize(each) for each in orders))

    with ThreadPoolExecutor(4) as pool:
        executors = [payments.executor(SimulatorProvider(simulator.url)) for _ in range(4)]
        list(pool.map(lambda executor: executor(attempts), executors))
    payments.calls()

    assert all(set(payments.said(each)) == {"payment_authorized"} for each in orders)
    assert all(payments.payment(each).intents["authorize"].attempts == 1 for each in orders)
    assert all(books(provider, each) == [(1250, 0, 0)] for each in orders)


def test_an_order_whose_first_two_commands_race_gets_one_payment(payments, order):
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(payments.receives, [authorize(order), void(order), void(order), authorize(order)]))
    payments.calls()

    assert "payment_voided" in payments.said(order)
    assert payments.payment(order).status == "voided"
