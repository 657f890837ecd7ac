"""The collector: empties `<service>.dead` into the service's `dead_letters` table.

A letter is acknowledged only after its row is committed; while the database is down they stay in the queue.
"""

import logging
import threading
from typing import Any

import amqp
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from shared_events import bundles, dead_letters
from shared_events.contract import CONTRACTS, Unreadable
from shared_events.dead_letters import FORGED
from shared_events.delivery import Delivery, open_envelope, plain_headers, raw, refuse_forged, wrong_with
from shared_events.properties import UNREADABLE, read_any_properties
from shared_events.publisher import NotPublished, connect
from shared_events.retries import PERMANENT, Forged

log = logging.getLogger(__name__)
PREFETCH = 100
CLOSE_EVERY = 10
BACK_OFF_S = 2.0
LONG_BACK_OFF_S = 10.0
"""After what nobody expected: each time its traceback is logged."""


class Collector:
    """One service's collector."""

    def __init__(self, service: str, engine: Engine, broker_url: str) -> None:
        self._service = service
        self._engine = engine
        self._broker_url = broker_url
        self._got: list[Any] = []

    def run(self, stop: threading.Event) -> None:
        """Collect until `stop` is set; whatever goes wrong only makes it wait."""
        read_any_properties()
        while not stop.is_set():
            try:
                self._consume(stop)
            except (OSError, amqp.AMQPError, NotPublished, DBAPIError) as error:
                log.warning("dead letters wait in %s.dead: %s", self._service, error)
                stop.wait(BACK_OFF_S)
            except Exception:  # the relay lives in this process: no dead letter may stop what is alive
                log.exception("dead letters wait in %s.dead", self._service)
                stop.wait(LONG_BACK_OFF_S)

    def _consume(self, stop: threading.Event) -> None:
        self._got.clear()
        connection = connect(self._broker_url)
        try:
            channel = connection.channel()
            channel.auto_decode = False  # bodies stay the bytes that they are
            channel.basic_qos(0, PREFETCH, False)
            channel.basic_consume(f"{self._service}.dead", callback=self._got.append)
            turns = 0
            while not stop.is_set():
                try:
                    connection.drain_events(timeout=1.0)
                except TimeoutError:
                    connection.heartbeat_tick()
                if self._got:
                    self._store(channel)
                turns += 1
                if turns % CLOSE_EVERY == 0:
                    self._close_handled()
        finally:
            connection.collect()

    def _store(self, channel: Any) -> None:
        with self._engine.begin() as connection:
            letters = [letter for message in self._got for letter in _letters(message, self._service)]
            dead_letters.bury(connection, self._service, letters)
        for message in self._got:
            channel.basic_ack(message.delivery_tag)
        log.warning("collected %d dead letters", len(self._got))
        self._got.clear()

    def _close_handled(self) -> None:
        with self._engine.begin() as connection:
            dead_letters.close_handled(connection)


def _letters(message: Any, service: str) -> list[tuple[Delivery, str, str]]:
    """Return (delivery, cause, reason) of each message in it; the cause is `forged` unless it is shown to be genuine.

    Only our own `x-dead-…` headers are believed: the broker's dead-lettering keeps what any sender wrote.
    """
    headers = plain_headers(message.headers)
    user_id = str(message.properties.get("user_id") or "")
    if user_id == service and "x-dead-cause" in headers:
        return [_our_letter(each, service) for each in bundles.split(_delivery(message, headers))]
    headers = {name: value for name, value in headers.items() if not name.startswith("x-dead-")}
    headers["x-dead-user"] = user_id
    return [_broker_s_letter(each, service) for each in bundles.split(_delivery(message, headers))]


def _delivery(message: Any, headers: dict[str, Any]) -> Delivery:
    return Delivery(
        body=raw(message.body),
        headers=headers,
        content_type=message.properties.get("content_type") or "",
        content_encoding=message.properties.get("content_encoding") or "utf-8",
        user_id=str(headers.get("x-dead-user") or ""),
        exchange=str(headers.get("x-dead-exchange") or ""),
        routing_key=str(headers.get("x-dead-routing-key") or ""),
    )


def _our_letter(delivery: Delivery, service: str) -> tuple[Delivery, str, str]:
    """Believe the worker that buried it, except that it may have buried it before it looked at its user."""
    cause, reason = str(delivery.headers["x-dead-cause"]), str(delivery.headers.get("x-dead-reason", ""))
    try:
        refuse_forged(open_envelope(delivery), delivery, service)
    except Unreadable:
        pass  # then a replay cannot be read either
    except Forged as error:
        return delivery, FORGED, f"{error}; {reason}" if cause != FORGED else reason
    return delivery, cause, reason


def _broker_s_letter(delivery: Delivery, service: str) -> tuple[Delivery, str, str]:
    """Tell from `x-death` why RabbitMQ itself dead-lettered it; no worker of ours looked at its user."""
    death = _first_death(delivery.headers.get("x-death"))
    why = str(death.get("reason", "unknown"))
    delivery.headers["x-dead-queue"] = death.get("queue")
    cause, reason = f"broker: {why}", f"RabbitMQ dead-lettered it itself: {why}"
    if UNREADABLE in delivery.headers:
        cause, reason = PERMANENT[Unreadable], wrong_with(delivery)
    if not _may_have_sent(delivery, service):
        return delivery, FORGED, f"{reason}; nothing shows that user {delivery.user_id!r} may send it"
    return delivery, cause, reason


def _may_have_sent(delivery: Delivery, service: str) -> bool:
    if delivery.user_id == service:
        return True
    try:
        its = CONTRACTS.get(open_envelope(delivery).type)
    except Unreadable:
        return False
    return its is not None and its.sent_by == delivery.user_id


def _first_death(deaths: Any) -> dict[str, Any]:
    """Return the broker's note of the last time that it dead-lettered the message."""
    if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict):
        return deaths[0]
    return {}
