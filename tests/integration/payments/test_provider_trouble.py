"""What spares a provider in trouble, and an executor whose provider never answers."""

import os
import signal
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from payments_bench import authorize, delivered
from uuid_utils.compat import uuid7

from payments_svc import calls as payments_calls
from payments_svc.breaker import Breaker
from payments_svc.calls import AT_ONCE
from payments_svc.handlers import LEASE_S
from payments_svc.provider import ProviderTimeout
from payments_svc.simulator_provider import SimulatorProvider


@pytest.fixture(params=["local", "shared"])
def breaker(request: pytest.FixtureRequest, servers: Any) -> Breaker:
    url = servers.access.redis_url("payments") if request.param == "shared" else None
    return Breaker(url, fail_max=2, reset_s=2)


def test_an_open_breaker_spares_the_provider_and_lets_it_try_again(payments, breaker, order, provider):
    down = payments.executor(SimulatorProvider("http://127.0.0.1:1"), breaker)
    down(delivered(authorize(order)))
    down(payments.due())
    assert breaker.state == "open"

    payments.executor(provider, breaker)(payments.due())
    assert payments.payment(order).intents["authorize"].attempts == 2
    assert 0 < payments.pauses()[0] <= 2
    time.sleep(breaker.open_for_s)
    payments.executor(provider, breaker)(payments.due())

    assert breaker.state == "closed"
    assert payments.said(order) == ["payment_authorized"]


def test_executors_share_the_breaker(servers):
    first, second = (Breaker(servers.access.redis_url("payments"), fail_max=1, reset_s=1) for _ in range(2))

    with pytest.raises(ZeroDivisionError):
        first.call(lambda: 1 // 0)

    assert second.state == "open"
    assert second.open_for_s <= 1


def test_without_redis_the_breaker_is_each_processs_own(payments, order):
    breaker = Breaker("redis://127.0.0.1:1/0", fail_max=1, reset_s=60)

    payments.executor(payments.provider, breaker)(delivered(authorize(order)))
    assert payments.said(order) == ["payment_authorized"]
    with pytest.raises(ZeroDivisionError):
        breaker.call(lambda: 1 // 0)

    assert breaker.state == "open"


class NeverAnswers(SimulatorProvider):
    """A provider class that breaks its promise to end every call in time, for some orders."""

    def __init__(self, url: str, orders: Collection[UUID]) -> None:
        super().__init__(url)
        self.orders = {str(each) for each in orders}
        self.release = threading.Event()

    def authorize(self, key: str, amount: int, currency: str, method: str, order_id: str) -> Any:
        """Wait for the end of the test."""
        if order_id in self.orders:
            self.release.wait(60)
            raise ProviderTimeout("at last")
        return super().authorize(key, amount, currency, method, order_id)


def test_calls_that_never_return_hold_up_no_later_batch(payments, simulator):
    """The soft limit ends the batch; its threads are left behind, and the next batch has threads of its own."""
    lost, later = [uuid7() for _ in range(AT_ONCE)], [uuid7(), uuid7()]
    hangs = NeverAnswers(simulator.url, lost)
    executor = payments.executor(hangs)

    with pytest.raises(SoftTimeLimitExceeded), soft_limit(0.3):
        executor(delivered(*map(authorize, lost)))
    executor(delivered(*map(authorize, later)))

    assert [payments.said(order) for order in later] == [["payment_authorized"]] * 2
    hangs.release.set()


def test_a_slow_call_is_left_to_its_thread_and_its_result_is_taken(payments, simulator):
    """Its batch ends without it, and so does its message; what comes when the lease ends finds it done."""
    slow, quick = uuid7(), uuid7()
    provider = SimulatorProvider(simulator.url)
    executor = payments.executor(provider)
    attempts = delivered(authorize(slow, "tok_slow"), authorize(quick))

    executor(attempts)
    assert [payments.said(quick), payments.said(slow)] == [["payment_authorized"], []]
    assert all(map(payments.noted, attempts))
    assert [round(each) for each in payments.pauses()] == [LEASE_S]
    executor.finish()

    assert payments.said(slow) == ["payment_authorized"]
    payments.calls()
    assert payments.said(slow) == ["payment_authorized"]
    assert [each.keys for each in provider.records(order_id=str(slow))] == [
        (payments.payment(slow).intents["authorize"].provider_key,)
    ]


def test_a_batch_waits_for_its_slow_calls_when_too_many_were_left_before(payments, simulator, monkeypatch):
    """Else a provider that never answers would be given threads without an end."""
    monkeypatch.setattr(payments_calls, "SLOW_AT_MOST", 0)
    slow = uuid7()

    payments.executor(SimulatorProvider(simulator.url))(delivered(authorize(slow, "tok_slow")))

    assert payments.said(slow) == ["payment_authorized"]


@contextmanager
def soft_limit(seconds: float) -> Iterator[None]:
    """Raise in this thread what Celery raises at the soft limit, by the signal that it uses."""

    def expired(*_: object) -> None:
        raise SoftTimeLimitExceeded

    before = signal.signal(signal.SIGUSR1, expired)
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
