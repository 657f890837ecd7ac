"""What a pool process does with the deliveries that it is handed: read, apply, and dispose of failures.

Every delivery gets a verdict, and nothing is acknowledged before its verdict: applied (the transaction is
committed), moved to a back-off tier or to the dead letters (the broker confirmed it), or kept.
"""

import logging
import socket
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from typing import Any, NamedTuple

import sqlalchemy
from billiard.exceptions import SoftTimeLimitExceeded

from shared_events import database, metrics, retries
from shared_events.crash_guard import CrashGuard
from shared_events.delivery import Delivery, read_delivery
from shared_events.effect import Attempt, Effect
from shared_events.parcel import Parcel
from shared_events.publisher import NotPublished, Outcome, Publisher
from shared_events.topology import TIERS_S, WorkQueue

log = logging.getLogger(__name__)
DEADLOCK = "40P01"
HEADER_ROOM = 32_000
"""All headers of a message must fit into one AMQP frame of 128 KB."""


class Ending(Enum):
    """What became of a delivery, and with it what the worker does to the broker's copy."""

    APPLIED = "applied"
    """Its effect is committed, now or earlier: acknowledge."""
    RETRIED = "retried"
    """A copy waits in a back-off tier: acknowledge."""
    BURIED = "dead"
    """A copy lies in the dead letters: acknowledge."""
    REFUSED = "refused"
    """The copy could not be routed: reject, so that the broker's own dead-lettering keeps it."""
    HELD = "held"
    """The database or the broker is away: keep it and hand it out again."""
    ALONE = "alone"
    """Its batch took too long: hand it out again, in a job of its own."""


class Verdict(NamedTuple):
    """The ending of one delivery; `observations` are measurements of its batch, on one verdict only."""

    ending: Ending
    error: str = ""
    traceback: str = ""
    observations: tuple[tuple[str, float], ...] = ()


class Runtime:
    """The deliveries' way through one pool process."""

    def __init__(
        self,
        queue: WorkQueue,
        effect: Effect,
        publisher: Publisher,
        guard: CrashGuard,
        tiers_s: tuple[int, ...] = TIERS_S,
    ) -> None:
        self._queue = queue
        self._effect = effect
        self._publisher = publisher
        self._guard = guard
        self._tiers_s = tiers_s

    def handle(self, deliveries: Sequence[Delivery]) -> list[Verdict]:
        """Return one verdict for each delivery, in their order."""
        errors: dict[int, BaseException] = {}
        attempts: dict[int, Attempt] = {}
        for place, delivery in enumerate(deliveries):
            try:
                received = read_delivery(delivery, self._queue.service)
                attempts[place] = Attempt(received, delivery.failures + 1)
            except Exception as error:
                errors[place] = error
        observations = self._apply(attempts, errors)
        verdicts = self._dispose(deliveries, errors)
        applied = [place for place in range(len(deliveries)) if place not in verdicts]
        verdicts.update({place: Verdict(Ending.APPLIED) for place in applied})
        if applied:
            verdicts[applied[0]] = Verdict(Ending.APPLIED, observations=observations)
        return [verdicts[place] for place in range(len(deliveries))]

    def handle_alone(self, delivery: Delivery) -> list[Verdict]:
        """Handle a delivery that came back so often that it is suspected of killing its process."""
        name = delivery.id or sha256(delivery.body).hexdigest()
        try:
            self._guard.enter(name)
        except retries.KilledItsWorker as error:
            return list(self._dispose([delivery], {0: error}).values())
        verdicts = self.handle([delivery])
        self._guard.leave(name)  # not in a `finally`: that would run while a time limit ends the process
        return verdicts

    def _apply(
        self, attempts: dict[int, Attempt], errors: dict[int, BaseException]
    ) -> tuple[tuple[str, float], ...]:
        """Apply all together; if that fails, one by one, and note the error of each that still fails."""
        once = list({each.received.envelope.id: each for each in attempts.values()}.values())
        if not once:
            return ()
        try:
            twins = metrics.absorbed(len(attempts) - len(once))  # two copies in one batch
            return self._effect_twice_if_deadlocked(once) + twins
        except SoftTimeLimitExceeded as error:
            # It is signalled once in a job: here, one by one would go on without a limit.
            errors.update(dict.fromkeys(attempts, error if len(once) == 1 else retries.TooSlowTogether()))
            return ()
        except Exception as error:
            error = self._told_apart(error)
            if len(once) == 1 or database.is_lost(error):
                errors.update(dict.fromkeys(attempts, error))
                return ()
            log.warning("a batch of %d failed and goes one by one: %r", len(once), error)
        observations: tuple[tuple[str, float], ...] = ()
        for place, attempt in attempts.items():
            try:
                observations += self._effect([attempt])
            except Exception as error:
                errors[place] = self._told_apart(error)
        return observations

    def _told_apart(self, error: Exception) -> Exception:
        """Return the error, or BrokeItsConnection if it looks like a lost database and the database answers."""
        if not database.is_lost(error):
            return error
        try:
            with self._effect.engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except database.LOST:
            return error
        return retries.BrokeItsConnection(str(error))

    def _effect_twice_if_deadlocked(self, attempts: Sequence[Attempt]) -> tuple[tuple[str, float], ...]:
        try:
            return self._effect(attempts)
        except sqlalchemy.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != DEADLOCK:
                raise
            return self._effect(attempts)

    def _dispose(
        self, deliveries: Sequence[Delivery], errors: dict[int, BaseException]
    ) -> dict[int, Verdict]:
        parcels: dict[int, Parcel] = {}
        verdicts: dict[int, Verdict] = {}
        for place, error in errors.items():
            decision = retries.decide(error, deliveries[place].failures, self._tiers_s)
            trace = "".join(traceback.format_exception(error))[-8_000:]
            if isinstance(decision, retries.Hold):
                verdicts[place] = Verdict(Ending.HELD, repr(error))
                continue
            if isinstance(decision, retries.GoAlone):
                verdicts[place] = Verdict(Ending.ALONE, repr(error))
                continue
            log.warning("%s %s: %r", deliveries[place].name, decision, error)
            ending = Ending.RETRIED if isinstance(decision, retries.Retry) else Ending.BURIED
            verdicts[place] = Verdict(ending, f"{type(error).__name__}: {error}"[:500], trace[-2_000:])
            parcels[place] = self._parcel(place, deliveries[place], decision, error, trace)
        held = [verdict for verdict in verdicts.values() if verdict.ending is Ending.HELD]
        if held:
            log.warning("%d messages wait for the database: %s", len(held), held[0].error)
        if parcels:
            self._settle(parcels, verdicts)
        return verdicts

    def _settle(self, parcels: dict[int, Parcel], verdicts: dict[int, Verdict]) -> None:
        """Publish the copies; what could not be published is kept, what could not be routed is refused."""
        try:
            outcome = self._publisher.publish(list(parcels.values()))
        except NotPublished as error:
            log.warning("the broker does not take retries and dead letters: %s", error)
            outcome = Outcome()
        for place, parcel in parcels.items():
            if parcel.id in outcome.confirmed:
                continue
            routed_nowhere = parcel.id in outcome.returned or parcel.id in outcome.refused
            verdicts[place] = verdicts[place]._replace(
                ending=Ending.REFUSED if routed_nowhere else Ending.HELD
            )

    def _parcel(
        self,
        place: int,
        delivery: Delivery,
        decision: retries.Retry | retries.Bury,
        error: BaseException,
        trace: str,
    ) -> Parcel:
        headers = _kept(delivery.headers)
        if isinstance(decision, retries.Retry):
            routing_key = self._queue.tier(decision.after_s)
            headers["retries"] = delivery.failures + 1
        else:
            routing_key = self._queue.dead
            headers |= {
                "x-dead-cause": decision.cause,
                "x-dead-reason": f"{type(error).__name__}: {error}"[:2_000],
                "x-dead-traceback": trace,
                "x-dead-attempts": delivery.failures + 1,
                "x-dead-at": datetime.now(UTC).isoformat(),
                "x-dead-host": socket.gethostname(),
                "x-dead-queue": self._queue.name,
                "x-dead-user": delivery.user_id,
                "x-dead-exchange": delivery.exchange,
                "x-dead-routing-key": delivery.routing_key,
            }
        return Parcel(
            id=f"{place}:{time.monotonic_ns()}",
            exchange=self._queue.exchange,
            routing_key=routing_key,
            body=delivery.body,
            headers=headers,
            content_type=delivery.content_type,
            content_encoding=delivery.content_encoding,
        )


def _kept(headers: dict[str, Any]) -> dict[str, Any]:
    """Return the headers that a copy carries: none of the broker's, and so few that ours fit into the frame."""
    kept: dict[str, Any] = {}
    room = HEADER_ROOM
    for name, value in headers.items():
        size = len(ascii(name)) + len(ascii(value))  # never less than their bytes
        if not name.startswith("x-") and size <= room:
            kept[name] = value
            room -= size
    return kept
