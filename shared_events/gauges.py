"""What a relay measures when it is asked: outbox, dead letters, queues, and the service's own gauges."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector as MetricCollector
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

_OUTBOX = """
    SELECT count(*) FILTER (WHERE available_at <= now()), count(*),
           coalesce(extract(epoch FROM now() - min(available_at) FILTER (WHERE available_at <= now())), 0)
    FROM outbox
"""
_DEAD = "SELECT cause, count(*) FROM dead_letters WHERE status = 'open' GROUP BY cause"
_ORDERS = "SELECT to_regclass('orders') IS NOT NULL"
_OPEN_ORDERS = """
    SELECT status, count(*) FROM orders WHERE status NOT IN ('completed', 'cancelled') GROUP BY status
"""


class DatabaseGauges(MetricCollector):
    """Reads the service's database at each scrape; a database that is away gives no values, not zeros."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        try:
            yield from self._read()
        except (DBAPIError, SQLAlchemyError):
            return

    def _read(self) -> Iterator[GaugeMetricFamily]:
        with self._engine.connect() as connection:
            due, waiting, oldest = connection.exec_driver_sql(_OUTBOX).one()
            dead = connection.exec_driver_sql(_DEAD).all()
            has_orders = connection.exec_driver_sql(_ORDERS).scalar()
            orders = connection.exec_driver_sql(_OPEN_ORDERS).all() if has_orders else []
        yield GaugeMetricFamily("orderflow_outbox_due", "Outbox rows that should have left.", value=due)
        yield GaugeMetricFamily("orderflow_outbox_rows", "Outbox rows, timers included.", value=waiting)
        yield GaugeMetricFamily("orderflow_outbox_lag_seconds", "Age of the oldest due row.", value=oldest)
        letters = GaugeMetricFamily("orderflow_dead_letters_open", "Open dead letters.", labels=["cause"])
        for cause, count in dead:
            letters.add_metric([cause], count)
        yield letters
        if has_orders:
            by_status = GaugeMetricFamily("orderflow_orders_open", "Orders not final yet.", labels=["status"])
            for status, count in orders:
                by_status.add_metric([status], count)
            yield by_status
