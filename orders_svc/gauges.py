"""Orders by state, counted when Prometheus asks."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from orders_svc.domain import FINAL
from orders_svc.tables import ORDERS


class OpenOrders(Collector):
    """How many orders are in each state that is not final (an index has just these).

    Orders that reached a final state are counted by the workers: `orderflow_orders_ended_total`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauge; a database that is away gives no values, not zeros."""
        status = ORDERS.c.status
        query = select(status, func.count()).where(status.not_in(FINAL)).group_by(status)
        gauge = GaugeMetricFamily("orderflow_orders_open", "Orders not final yet.", labels=["status"])
        try:
            with self._engine.connect() as connection:
                for name, count in connection.execute(query):
                    gauge.add_metric([name], count)
        except SQLAlchemyError:
            return
        yield gauge
