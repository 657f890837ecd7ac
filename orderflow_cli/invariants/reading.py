"""One reading of a deployment: a snapshot of each database, and what stands beside them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import RowFactory, args_row, namedtuple_row

from orderflow_cli.accepted import Accepted
from orderflow_cli.errors import CommandError
from orderflow_cli.invariants import views
from orderflow_cli.invariants.views import Ahead, Charge, Goods, Order, Payment
from orderflow_cli.names import SERVICES


@dataclass(frozen=True)
class Sources:
    """Where a reading comes from. What is None cannot be read here, and its invariants are left out.

    `provider_records` returns the provider's own books; `dead_letter_queues` how much lies in each
    `<service>.dead`, and `consumers` how many consumers each queue has, or None while RabbitMQ is away.
    `final_after_s` is the sum of the saga's deadlines.
    """

    audit_urls: Mapping[str, str]
    accepted: Sequence[Accepted] = ()
    provider_records: Callable[[], list[dict[str, Any]]] | None = None
    dead_letter_queues: Callable[[], dict[str, int] | None] | None = None
    final_after_s: float = 93_600.0
    consumers: Callable[[], dict[str, int] | None] | None = None


class Snapshot:
    """One service's database at one moment, read with the role that may only read."""

    def __init__(self, service: str, url: str) -> None:
        self.service = service
        try:
            self.connection = psycopg.connect(url, connect_timeout=5, options="-c statement_timeout=60s")
            self.connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self.connection.read_only = True
            self.connection.execute("SELECT 1")  # the snapshot is taken by the first statement
        except psycopg.Error as error:
            raise CommandError(f"cannot read the database of {service}: {_first_line(error)}") from error

    def rows(self, query: str, **values: Any) -> list[Any]:
        """Return the rows of a query; columns are attributes."""
        return self.read(query, namedtuple_row, values)

    def read(self, query: str, shape: RowFactory[Any], values: Mapping[str, Any] | None = None) -> list[Any]:
        """Return the rows of a query in a shape."""
        try:
            with self.connection.cursor(row_factory=shape) as cursor:
                return cursor.execute(query.encode(), values or None).fetchall()
        except psycopg.Error as error:
            raise CommandError(f"cannot read the database of {self.service}: {_first_line(error)}") from error


@dataclass
class Reading:
    """A reading, while its snapshots are open. What several rules compare is read once."""

    sources: Sources
    services: Iterable[str] = SERVICES
    _snapshots: dict[str, Snapshot] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "Reading":
        with ExitStack() as opened:
            for service in self.services:
                snapshot = Snapshot(service, self.sources.audit_urls[service])
                opened.callback(snapshot.connection.close)
                self._snapshots[service] = snapshot
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def rows(self, service: str, query: str, **values: Any) -> list[Any]:
        """Return the rows of a query in a service's snapshot."""
        return self._snapshots[service].rows(query, **values)

    @property
    def accepted(self) -> Sequence[Accepted]:
        """The orders that were written down when they were answered 202."""
        return self.sources.accepted

    @cached_property
    def orders(self) -> dict[UUID, Order]:
        """Every order by its id."""
        rows = self._snapshots["orders"].read(views.ORDERS, args_row(Order))
        return {row.id: row for row in rows}

    @cached_property
    def goods(self) -> dict[UUID, Goods]:
        """What Inventory holds or has sold, for each order that it knows."""
        rows = self._snapshots["inventory"].read(views.GOODS, args_row(Goods))
        return {row.order_id: row for row in rows}

    @cached_property
    def payments(self) -> dict[UUID, Payment]:
        """What Payments holds, took and gave back, for each order that it knows."""
        rows = self._snapshots["payments"].read(views.PAYMENTS, args_row(Payment))
        return {row.order_id: row for row in rows}

    @cached_property
    def charges(self) -> dict[UUID, list[Charge]]:
        """What the provider's own books say, for each order that they name."""
        records = self.sources.provider_records() if self.sources.provider_records else []
        return views.charges(records)

    @cached_property
    def dead_letter_queues(self) -> dict[str, int] | None:
        """How many messages lie in each dead-letter queue; None if nobody could tell."""
        return self.sources.dead_letter_queues() if self.sources.dead_letter_queues else None

    @cached_property
    def consumers(self) -> dict[str, int]:
        """How many consumers each queue has; nothing if nobody could tell."""
        return (self.sources.consumers() if self.sources.consumers else None) or {}

    @property
    def broker_is_away(self) -> bool:
        """Whether RabbitMQ was asked and did not answer."""
        return self.sources.dead_letter_queues is not None and self.dead_letter_queues is None

    def explain(self, order_ids: Iterable[UUID]) -> dict[UUID, Ahead]:
        """Say what is on its way for these orders: a message or timer to leave, or a dead letter to be replayed."""
        wanted = list(order_ids)
        found: dict[UUID, Ahead] = {}
        for service in self._snapshots if wanted else ():
            for row in self.rows(service, views.WAITING, ids=wanted):
                ahead = Ahead(row.place, f"{service}: {row.waits_for}")
                found[row.order_id] = min(found.get(row.order_id, ahead), ahead)
        return found


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
