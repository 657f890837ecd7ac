"""The circuit breaker around the provider, as Prometheus sees it."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from payments_svc.breaker import Breaker

CLOSED, HALF_OPEN, OPEN = "closed", "half-open", "open"


class BreakerState(Collector):
    """1 for the state that the breaker is in, 0 for the others. All executors share one, so any process may show it."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauge."""
        gauge = GaugeMetricFamily(
            "orderflow_provider_breaker", "The circuit breaker around the provider.", labels=["state"]
        )
        now = self._breaker.state
        for state in (CLOSED, HALF_OPEN, OPEN):
            gauge.add_metric([state], float(state == now))
        yield gauge
