"""What a worker and a relay count, in Prometheus' terms (served at `/metrics` of each process)."""

from collections.abc import Iterable

from prometheus_client import Counter, Histogram

MESSAGES = Counter("orderflow_messages", "Messages taken from the service's queue.", ["type", "outcome"])
LOST_BATCHES = Counter("orderflow_lost_batches", "Batches whose pool process died or took too long.")
ABSORBED = Counter(
    "orderflow_duplicates_absorbed", "Deliveries that the inbox knew: without a second effect."
)
PUBLISHED = Counter("orderflow_published", "Messages that left the outbox.", ["outcome"])
TIME_TO_CONFIRMED = Histogram(
    "orderflow_order_time_to_confirmed_seconds",
    "From the order's acceptance to its confirmation.",
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15, 60, 300, 3600),
)
ORDERS_ENDED = Counter("orderflow_orders_ended", "Orders that reached a final status.", ["status"])


def absorbed(duplicates: int) -> tuple[tuple[str, float], ...]:
    """Return the observation of so many duplicates, to be counted where they are acknowledged."""
    return (("absorbed", float(duplicates)),) if duplicates else ()


def observe(observations: Iterable[tuple[str, float]]) -> None:
    """Count what a committed transaction measured.

    (`time_to_confirmed`, seconds), (`ended:<status>`, n) or (`absorbed`, n).
    """
    for name, value in observations:
        if name == "time_to_confirmed":
            TIME_TO_CONFIRMED.observe(value)
        elif name == "absorbed":
            ABSORBED.inc(value)
        else:
            ORDERS_ENDED.labels(name.partition(":")[2]).inc(value)
