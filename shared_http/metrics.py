"""Prometheus metrics of a process. Free of Flask: workers and relays use it too."""

import os
import time

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST

_REQUESTS = Counter("orderflow_http_requests_total", "Answered requests", ("route", "method", "status"))
_SECONDS = Histogram(
    "orderflow_http_request_seconds",
    "Time from a request to its answer",
    ("route", "method"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_extra: list[Collector] = []


def add_collector(collector: Collector) -> None:
    """Show what `collector` finds at each scrape (outbox lag, orders by state, …)."""
    _extra.append(collector)


def stopwatch() -> float:
    """Return a start time for `count_request`."""
    return time.perf_counter()


def count_request(route: str, method: str, status: int, started: float | None) -> None:
    """Count one answered request. `method` comes from the client: unknown ones share one label."""
    method = method if method in _METHODS else "other"
    _REQUESTS.labels(route, method, str(status)).inc()
    if started is not None:
        _SECONDS.labels(route, method).observe(time.perf_counter() - started)


def exposition() -> bytes:
    """Return all metrics as text; with PROMETHEUS_MULTIPROC_DIR, those of all processes that share it."""
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # adds itself to the registry
    else:
        registry.register(REGISTRY)
    for collector in _extra:
        registry.register(collector)
    return generate_latest(registry)
