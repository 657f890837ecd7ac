"""What a relay measures when it is asked: outbox, dead letters and queues."""

from collections.abc import Iterator, Sequence

import amqp
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector as MetricCollector
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from shared_events.publisher import NotPublished, connect

_OUTBOX = """
    SELECT count(*) FILTER (WHERE available_at <= now()), count(*),
           coalesce(extract(epoch FROM now() - min(available_at) FILTER (WHERE available_at <= now())), 0)
    FROM outbox
"""
_DEAD = "SELECT cause, count(*) FROM dead_letters WHERE status = 'open' GROUP BY cause"


class DatabaseGauges(MetricCollector):
    """Reads the service's database at each scrape; a database that is away gives no values, not zeros."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        try:
            yield from self._read()
        except SQLAlchemyError:
            return

    def _read(self) -> Iterator[GaugeMetricFamily]:
        with self._engine.connect() as connection:
            due, waiting, oldest = connection.exec_driver_sql(_OUTBOX).one()
            dead = connection.exec_driver_sql(_DEAD).all()
        yield GaugeMetricFamily("orderflow_outbox_due", "Outbox rows that should have left.", value=due)
        yield GaugeMetricFamily("orderflow_outbox_rows", "Outbox rows, timers included.", value=waiting)
        yield GaugeMetricFamily("orderflow_outbox_lag_seconds", "Age of the oldest due row.", value=oldest)
        letters = GaugeMetricFamily("orderflow_dead_letters_open", "Open dead letters.", labels=["cause"])
        for cause, count in dead:
            letters.add_metric([cause], count)
        yield letters


class QueueGauges(MetricCollector):
    """Asks the broker how deep the service's queues are at each scrape."""

    def __init__(self, broker_url: str, queues: Sequence[str]) -> None:
        self._broker_url = broker_url
        self._queues = queues

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauge; a broker that is away gives no values."""
        depth = GaugeMetricFamily("orderflow_queue_messages", "Messages ready in a queue.", labels=["queue"])
        try:
            connection = connect(self._broker_url)
        except NotPublished:
            return
        try:
            channel = connection.channel()
            for name in self._queues:
                depth.add_metric([name], channel.queue_declare(name, passive=True).message_count)
            yield depth
        except (OSError, amqp.AMQPError):
            return
        finally:
            connection.collect()
