"""The circuit breaker opens, half-opens and closes; operators see it in the metrics and in readiness."""

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from issuer import AUDIENCE, ISSUER, Issuer
from simulator_process import SimulatorProcess
from sqlalchemy import Engine

from payments_svc.breaker import Breaker, Open
from payments_svc.gauges import BreakerState
from payments_svc.provider import ProviderUnavailable
from payments_svc.simulator_provider import SimulatorProvider
from shared_events.settings import Servers
from shared_http import metrics
from shared_http.application import create_api
from shared_http.health import Check
from shared_http.settings import HttpSettings

RESET_S = 3.0


class Watched:
    """A breaker in the real Redis around the real simulator, as callers and operators see it."""

    def __init__(self, servers: Any, engine: Engine, simulator: SimulatorProcess) -> None:
        redis_url = servers.access.redis_url("payments")
        self._simulator = simulator
        self._provider = SimulatorProvider(simulator.url, timeout_s=1.0)
        self.breaker = Breaker(redis_url, fail_max=3, reset_s=RESET_S)
        metrics.add_collector(BreakerState(self.breaker))
        settings = HttpSettings(
            Servers("", servers.access.broker_url("payments"), redis_url), ISSUER, AUDIENCE, "file:///nowhere"
        )
        self._app = create_api(
            "payments",
            settings=settings,
            engine=engine,
            blueprints=[],
            keys=Issuer(),
            checks=[Check("provider breaker", self.breaker.require_closed)],
        )

    def weather(self, kind: str) -> None:
        assert httpx2.post(f"{self._simulator.url}/weather", json={"kind": kind}).is_success

    def call(self) -> str:
        """Call the provider; return what came of it: `answered`, `failed` or `spared`."""
        try:
            self.breaker.call(lambda: self._provider.lookup("some-key"))
        except ProviderUnavailable:
            return "failed"
        except Open:
            return "spared"
        return "answered"

    def shown(self) -> tuple[str, str]:
        """Return the state in the metrics, and what readiness says."""
        text = self._app.test_client().get("/metrics").text
        (state,) = [
            line
            for line in text.splitlines()
            if line.startswith("orderflow_provider") and line.endswith(" 1.0")
        ]
        time.sleep(1.05)  # readiness keeps what it found for a second
        ready = self._app.test_client().get("/health/ready")
        assert ready.status_code == 200
        return state.split('"')[1], ready.json.get("degraded", {}).get("provider breaker", "well")


@pytest.fixture
def watched(
    servers: Any, engine: Engine, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Watched]:
    monkeypatch.setattr(metrics, "_extra", [])  # a collector is added once to a process
    made = Watched(servers, engine, simulator)
    assert made.call() == "answered"
    yield made
    made.weather("fair")
    time.sleep(made.breaker.open_for_s)
    made.call()


def test_it_opens_half_opens_and_closes_in_the_sight_of_operators(watched: Watched) -> None:
    assert watched.shown() == ("closed", "well")

    watched.weather("5xx")
    assert [watched.call() for _ in range(5)] == ["failed"] * 3 + ["spared"] * 2
    assert watched.shown() == ("open", "Open: the circuit breaker is open")

    time.sleep(watched.breaker.open_for_s)
    assert watched.shown()[0] == "half-open"
    assert [watched.call() for _ in range(2)] == ["failed", "spared"]  # one may try: it opens again
    assert watched.breaker.open_for_s > 0

    watched.weather("fair")
    time.sleep(watched.breaker.open_for_s)
    assert [watched.call() for _ in range(2)] == ["answered"] * 2
    assert watched.shown() == ("closed", "well")
