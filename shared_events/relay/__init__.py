"""The relay: moves due outbox rows to RabbitMQ. Run it with `python -m shared_events.relay`.

A turn is one transaction: it locks due rows, publishes them, waits once for all confirms, deletes what was confirmed.
A relay that dies lets go of its rows, and the server takes them from one that freezes; another publishes them again:
the inboxes know them. Several relays of one service share the work. The same process collects dead letters and prunes
old rows.
"""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine

from shared_events import bundles, database, dead_letters, linger, metrics
from shared_events.contract import CONTRACTS, Fact
from shared_events.parcel import Parcel
from shared_events.publisher import NotPublished, Outcome, Publisher
from shared_events.vitals import VITALS

log = logging.getLogger(__name__)

BATCH = 500
FEW = 4
"""So many rows at once are no load yet: the relay goes on waiting for notifications."""
AWAKE_S = 0.1
POLL_S = 0.005
ELSEWHERE_S = 0.05
"""How long to leave alone what is due and in other hands: another relay's, or a writer's that cancels it."""
SLEEP_S = 0.5
"""A sleeping relay looks up at least this often, should a notification have been missed."""

# Skipped: what another relay publishes, or a writer cancels, just now.
_DUE = f"""
    SELECT id::text, type, subject, correlation_id::text, causation_id::text, exchange, routing_key, body, headers
    FROM outbox
    WHERE available_at <= now()
    ORDER BY available_at LIMIT {BATCH} FOR UPDATE SKIP LOCKED
"""  # noqa: S608  constants
_DELETE = "DELETE FROM outbox WHERE id = ANY(%(ids)s::uuid[])"
_NEXT = "SELECT extract(epoch FROM available_at - now()) FROM outbox ORDER BY available_at LIMIT 1"
_ASLEEP = "UPDATE relay_state SET asleep = %(asleep)s WHERE asleep <> %(asleep)s"


class Relay:
    """One service's relay.

    Its engine need not be durable: a commit of its own that a crash loses only lets it publish some rows again.
    """

    def __init__(self, service: str, engine: Engine, publisher: Publisher) -> None:
        self._service = service
        self._kept = database.Kept(engine)
        self._publisher = publisher
        self._awake_until: float | None = 0.0
        self._linger_s = 0.0

    def run(self, stop: threading.Event) -> None:
        """Relay until `stop` is set. Neither a lost database nor a lost broker ends it."""
        while not stop.is_set():
            VITALS.beat()
            try:
                count = self.turn()
                if count > FEW:
                    self._gather(stop)
                    continue
                if not count:
                    self._publisher.keep_alive()
                self._wait(stop)
            except database.LOST as error:
                log.warning("the database is away: %s", error)
                stop.wait(1.0)
            except NotPublished as error:
                log.warning("%s", error)
                stop.wait(1.0)
        self._kept.close()

    def _gather(self, stop: threading.Event) -> None:
        """Stay awake, and let more come: a notification in each transaction would cost more than looking."""
        if self._awake_until is None:
            self._fall_asleep(False)
        self._awake_until = time.monotonic() + AWAKE_S
        stop.wait(self._linger_s)

    def turn(self) -> int:
        """Publish one batch of due rows and delete what was confirmed; return how many rows it took.

        It holds no row longer than a publisher waits for its confirms. Raises NotPublished: then all rows stay.
        """
        with self._kept.transaction() as connection:
            rows = self._kept.query(_DUE)
            self._publish(_bundled(rows), connection)
        # A full turn may have left something that is due.
        self._linger_s = linger.after([row.correlation_id for row in rows]) if len(rows) < BATCH else 0.0
        return len(rows)

    def _publish(self, tied: Sequence[list[Any]], connection: Connection) -> None:
        """Publish and settle; what is refused as a bundle is tried message by message."""
        if not tied:
            return
        outcome = self._publisher.publish([_parcel(rows) for rows in tied])
        refused = [rows for rows in tied if len(rows) > 1 and rows[0].id in outcome.refused]
        self._settle([rows for rows in tied if rows not in refused], outcome, connection)
        self._publish([[row] for rows in refused for row in rows], connection)

    def _settle(self, tied: Sequence[list[Any]], outcome: Outcome, connection: Connection) -> None:
        """Delete what is done with. What nobody can receive becomes a dead letter."""
        done: list[str] = []
        for rows in tied:
            key = rows[0].id
            if key in outcome.returned:
                self._bury(rows, "unroutable", f"no queue is bound to {rows[0].type}", connection)
            elif key in outcome.refused:
                self._bury(rows, "cannot-be-published", outcome.refused[key], connection)
            elif key in outcome.confirmed:
                metrics.PUBLISHED.labels("confirmed").inc(len(rows))
            else:
                continue
            done += [row.id for row in rows]
        self._kept.execute(_DELETE, {"ids": f"{{{','.join(done)}}}"})

    def _bury(self, rows: Sequence[Any], cause: str, reason: str, connection: Connection) -> None:
        for row in rows:
            log.error("%s cannot leave: %s", row.type, reason)
            dead_letters.bury_outbox_row(connection, self._service, row, _headers(row), cause, reason)

    def _wait(self, stop: threading.Event) -> None:
        """Wait until there may be rows: for a notification or until a timer is due; while awake, look every moment."""
        if self._awake_until is None:
            if not self._kept.notified("outbox", self._idle_for()):
                self._fall_asleep(True)  # another relay of this service may have died awake
            return
        while not stop.wait(POLL_S) and time.monotonic() < self._awake_until:
            if self._due_in_s() <= 0:
                return
        self._awake_until = None
        self._fall_asleep(True)
        stop.wait(POLL_S)  # for a writer that saw the relay awake: it commits within this time

    def _fall_asleep(self, asleep: bool) -> None:
        """Say whether writers have to notify."""
        self._kept.execute(_ASLEEP, {"asleep": asleep})

    def _idle_for(self) -> float:
        next_s = self._due_in_s()
        return min(next_s, SLEEP_S) if next_s > 0 else ELSEWHERE_S

    def _due_in_s(self) -> float:
        first = self._kept.query(_NEXT)
        return float(first[0][0]) if first else SLEEP_S


def _is_fact(message_type: str) -> bool:
    its = CONTRACTS.get(message_type)
    return its is not None and its.kind is Fact


def _headers(row: Any) -> dict[str, Any]:
    """Return the headers of a Celery task message (protocol 2): those it requires, and what Flower shows."""
    if row.headers is not None:
        return dict(row.headers)
    return {
        "lang": "py",
        "task": row.type,
        "id": row.id,
        "root_id": row.correlation_id,
        "parent_id": row.causation_id,
        "group": None,
        "retries": 0,
        "argsrepr": row.subject,
    }


def _bundled(rows: Sequence[Any]) -> list[list[Any]]:
    """Put the rows together that may travel together: of one type, and no facts; a replay goes by itself."""
    kinds: dict[tuple[str, str], list[Any]] = {}
    groups = []
    for row in rows:
        if row.headers is None and not _is_fact(row.type) and bundles.may_share(row.body):
            kinds.setdefault((row.exchange, row.routing_key), []).append(row)
        else:
            groups.append([row])
    for alike in kinds.values():
        groups += bundles.grouped(alike)
    return groups


def _parcel(rows: Sequence[Any]) -> Parcel:
    """Return one or many rows as a message. A fact is for whoever wants it, and so may reach nobody."""
    first, headers = rows[0], _headers(rows[0])
    if len(rows) > 1:
        headers |= {
            bundles.COUNT: len(rows),
            "argsrepr": f"{len(rows)} messages",
            "root_id": None,
            "parent_id": None,
        }
    body = bundles.join([row.body for row in rows]) if len(rows) > 1 else bytes(first.body)
    return Parcel(
        first.id, first.exchange, first.routing_key, body, headers, mandatory=not _is_fact(first.type)
    )
