"""The relay: moves due outbox rows to RabbitMQ. Run it with `python -m shared_events.relay`.

It leases rows in a short transaction, publishes them with none open, waits once for all confirms and deletes what
was confirmed. A relay that dies or freezes loses its lease, and another publishes the rows again: the inboxes know
them. Several relays of one service share the work. The same process collects dead letters and prunes old rows.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Engine

from shared_events import bundles, database, dead_letters, linger, metrics
from shared_events.contract import CONTRACTS, Fact
from shared_events.publisher import NotPublished, Outcome, Parcel, Publisher
from shared_events.vitals import VITALS

log = logging.getLogger(__name__)

BATCH = 500
LEASE_S = 15.0
"""Longer than a publisher waits for its confirms."""
FEW = 4
"""So many rows at once are no load yet: the relay goes on waiting for notifications."""
AWAKE_S = 0.1
POLL_S = 0.005
SETTLE_S = 0.05
"""How long what was published waits to be deleted together with the next."""
SLEEP_S = 0.5
"""A sleeping relay looks up at least this often, should a notification have been missed."""

# `= ANY(ARRAY(…))`, not `IN (…)`: a join, planned while the table was empty, would walk all of it for each row.
_DELETE = """
    DELETE FROM outbox
    WHERE id = ANY(ARRAY(SELECT id FROM outbox WHERE id = ANY(%(ids)s::uuid[]) FOR UPDATE SKIP LOCKED))
"""
_TURN = f"""
    WITH settled AS ({_DELETE})
    UPDATE outbox SET leased_until = now() + interval '{LEASE_S} seconds'
    WHERE id = ANY(ARRAY(
        SELECT id FROM outbox
        WHERE available_at <= now() AND (leased_until IS NULL OR leased_until < now())
          AND id <> ALL(%(ids)s::uuid[])
        ORDER BY available_at LIMIT {BATCH} FOR UPDATE SKIP LOCKED))
    RETURNING id, type, subject, correlation_id, causation_id, exchange, routing_key, body, headers, leased_until
"""  # noqa: S608  constants
_GIVE_BACK = """
    UPDATE outbox SET leased_until = NULL WHERE id = ANY(%(ids)s) AND leased_until = %(lease)s
"""
_NEXT = """
    SELECT extract(epoch FROM min(greatest(available_at, coalesce(leased_until, available_at))) - now())
    FROM (SELECT available_at, leased_until FROM outbox ORDER BY available_at LIMIT 1) AS first
"""
_ASLEEP = "UPDATE relay_state SET asleep = %(asleep)s WHERE asleep <> %(asleep)s"


class Relay:
    """One service's relay.

    Its engine need not be durable: a commit of its own that a crash loses only lets it publish some rows again.
    """

    def __init__(self, service: str, engine: Engine, publisher: Publisher) -> None:
        self._service = service
        self._engine = engine
        self._kept = database.Kept(engine)
        self._publisher = publisher
        self._settled: list[UUID] = []
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
        self._finish()

    def _gather(self, stop: threading.Event) -> None:
        """Stay awake, and let more come: a notification in each transaction would cost more than looking."""
        if self._awake_until is None:
            self._fall_asleep(False)
        self._awake_until = time.monotonic() + AWAKE_S
        stop.wait(self._linger_s)

    def turn(self) -> int:
        """Lease, publish and settle one batch; return how many rows it took."""
        rows = self._lease()
        if not rows:
            return 0
        try:
            self._publish(_bundled(rows))
        except NotPublished:
            self._give_back(rows)
            raise
        self._linger_s = linger.after(len(rows), rows[len(rows) // 2].correlation_id)
        return len(rows)

    def _publish(self, tied: Sequence[list[Any]]) -> None:
        """Publish and settle; what is refused as a bundle is tried message by message."""
        outcome = self._publisher.publish([_parcel(rows) for rows in tied])
        refused = [rows for rows in tied if len(rows) > 1 and str(rows[0].id) in outcome.refused]
        self._settle([rows for rows in tied if rows not in refused], outcome)
        if refused:
            self._publish([[row] for rows in refused for row in rows])

    def _lease(self) -> Sequence[Any]:
        """Delete what the last turn published and lease the next rows, in one statement."""
        rows = self._kept.query(_TURN, {"ids": self._settled})
        self._settled.clear()
        return rows

    def _finish(self) -> None:
        """Delete what the last turn published: nobody publishes it again when its lease is over."""
        with contextlib.suppress(*database.LOST):
            self._kept.query(_DELETE, {"ids": self._settled})
        self._kept.close()

    def _settle(self, tied: Sequence[list[Any]], outcome: Outcome) -> None:
        """Note what is done with. What nobody can receive becomes a dead letter."""
        confirmed: list[UUID] = []
        why: dict[UUID, tuple[str, str]] = {}
        for rows in tied:
            key, ids = str(rows[0].id), [row.id for row in rows]
            if key in outcome.confirmed:
                confirmed += ids
            elif key in outcome.returned:
                why |= dict.fromkeys(ids, ("unroutable", f"no queue is bound to {rows[0].type}"))
            elif key in outcome.refused:
                why |= dict.fromkeys(ids, ("cannot-be-published", outcome.refused[key]))
        self._settled += confirmed
        metrics.PUBLISHED.labels("confirmed").inc(len(confirmed))
        if why:
            self._bury([row for rows in tied for row in rows if row.id in why], why)

    def _bury(self, rows: Sequence[Any], why: dict[UUID, tuple[str, str]]) -> None:
        with self._engine.begin() as connection:
            ids = [row.id for row in rows]
            still_here = set(connection.exec_driver_sql(_DELETE + " RETURNING id", {"ids": ids}).scalars())
            for row in rows:
                if row.id not in still_here:
                    continue  # delivered by another relay, or a timer that was cancelled meanwhile
                cause, reason = why[row.id]
                log.error("%s cannot leave: %s", row.type, reason)
                dead_letters.bury_outbox_row(connection, self._service, row, _headers(row), cause, reason)

    def _give_back(self, rows: Sequence[Any]) -> None:
        """End our lease now (another's stays), so that an outage of the broker costs no lease time after it."""
        self._kept.query(_GIVE_BACK, {"ids": [row.id for row in rows], "lease": rows[0].leased_until})

    def _wait(self, stop: threading.Event) -> None:
        """Wait until there may be rows: a moment while awake, else for a notification or until a timer is due."""
        if self._awake_until is None:
            if not self._kept.notified("outbox", self._idle_for()):
                self._fall_asleep(True)  # another relay of this service may have died awake
            return
        if time.monotonic() >= self._awake_until:
            self._awake_until = None
            self._fall_asleep(True)
        stop.wait(POLL_S)  # also for a writer that saw the relay awake: it commits within this time

    def _fall_asleep(self, asleep: bool) -> None:
        """Say whether writers have to notify."""
        self._kept.query(_ASLEEP, {"asleep": asleep})

    def _idle_for(self) -> float:
        if self._settled:
            return SETTLE_S
        next_s = self._kept.query(_NEXT)[0][0]
        if next_s is None:
            return SLEEP_S
        return max(POLL_S, min(SLEEP_S, float(next_s)))  # what is due may be locked by a writer


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
        "id": str(row.id),
        "root_id": str(row.correlation_id),
        "parent_id": str(row.causation_id) if row.causation_id else None,
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
        str(first.id), first.exchange, first.routing_key, body, headers, mandatory=not _is_fact(first.type)
    )
