"""The executor as it really runs: Celery on RabbitMQ, beside Payments' worker and relay."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from payments_bench import Payments, authorize
from simulator_process import SimulatorProcess

from shared_events.contract import Message, seal
from shared_events.outbox import MESSAGES, celery_body
from shared_events.parcel import Parcel
from shared_events.publisher import Publisher

COMMANDS = {
    "worker": ["celery", "-A", "payments_svc.worker", "worker", "--concurrency", "1"],
    "executor": ["celery", "-A", "payments_svc.executor", "worker", "--concurrency", "2"],
    "relay": ["shared_events.relay"],
}


class Processes:
    """Payments' own processes, each in a process group of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        self._running[name] = subprocess.Popen(
            [sys.executable, "-m", *COMMANDS[name]],
            env=self._environment,
            start_new_session=True,
            stderr=subprocess.DEVNULL,
        )

    def kill(self, name: str) -> None:
        """End all of its processes as a crash of the machine would."""
        process = self._running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, name: str) -> float:
        """Stop it gracefully; return how long that took."""
        started = time.monotonic()
        process = self._running.pop(name)
        process.terminate()
        process.wait(timeout=20)
        return time.monotonic() - started

    def stop_all(self) -> None:
        for name in list(self._running):
            self.kill(name)


@pytest.fixture
def processes(payments: Payments, servers: Any, simulator: SimulatorProcess) -> Iterator[Processes]:
    environment = servers.access.environment("payments")
    made = Processes(
        {**environment, "ORDERFLOW_PROVIDER_URL": simulator.url, "ORDERFLOW_LOG_LEVEL": "WARNING"}
    )
    try:
        yield made
    finally:
        made.stop_all()


def orders_sends(servers: Any, command: Message) -> None:
    """Publish a command as Orders would."""
    envelope = seal(command, correlation_id=getattr(command, "order_id"))  # noqa: B009
    parcel = Parcel(
        id=str(envelope.id),
        exchange=MESSAGES,
        routing_key=envelope.type,
        body=celery_body(envelope),
        headers={"task": envelope.type, "id": str(envelope.id), "lang": "py", "retries": 0},
    )
    publisher = Publisher(servers.access.broker_url("orders"))
    assert publisher.publish([parcel]).confirmed


def eventually(holds: Callable[[], bool], within_s: float) -> None:
    until = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.1)


@pytest.fixture
def calling(payments, processes, servers, provider, order):
    """Worker, relay and executor, with a call under way that the provider has booked and not yet answered."""
    for name in COMMANDS:
        processes.start(name)
    orders_sends(servers, authorize(order, "tok_slow"))
    eventually(lambda: len(provider.records(order_id=str(order))) == 1, within_s=30)
    return processes


def test_a_call_whose_executor_was_killed_is_made_once(calling, payments, provider, order):
    calling.kill("executor")
    assert payments.payment(order).intents["authorize"].status == "leased"
    calling.start("executor")

    eventually(lambda: payments.payment(order).status == "authorized", within_s=40)
    assert [each.held for each in provider.records(order_id=str(order))] == [1250]
    assert calling.stop("executor") < 15


def test_an_executor_that_is_stopped_finishes_its_call(calling, payments, order):
    calling.stop("executor")

    assert payments.payment(order).status == "authorized"
