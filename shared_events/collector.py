"""The collector: empties `<service>.dead` into the service's `dead_letters` table.

A letter is acknowledged only after its row is committed; while the database is down they stay in the queue.
"""

import logging
import threading
from typing import Any

import amqp
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from shared_events import dead_letters
from shared_events.delivery import Delivery, raw
from shared_events.publisher import NotPublished, connect

log = logging.getLogger(__name__)
PREFETCH = 100
CLOSE_EVERY = 10


class Collector:
    """One service's collector."""

    def __init__(self, service: str, engine: Engine, broker_url: str) -> None:
        self._service = service
        self._engine = engine
        self._broker_url = broker_url
        self._got: list[Any] = []

    def run(self, stop: threading.Event) -> None:
        """Collect until `stop` is set; a lost broker or database only makes it wait."""
        while not stop.is_set():
            try:
                self._consume(stop)
            except (OSError, amqp.AMQPError, NotPublished, DBAPIError) as error:
                log.warning("dead letters wait in %s.dead: %s", self._service, error)
                stop.wait(2.0)

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
            letters = [_letter(message, self._service) for message in self._got]
            dead_letters.bury(connection, self._service, letters)
        for message in self._got:
            channel.basic_ack(message.delivery_tag)
        log.warning("collected %d dead letters", len(self._got))
        self._got.clear()

    def _close_handled(self) -> None:
        with self._engine.begin() as connection:
            dead_letters.close_handled(connection)


def _letter(message: Any, service: str) -> tuple[Delivery, str, str]:
    """Return (delivery, cause, reason); what the broker itself dead-lettered tells its reason in `x-death`.

    Only our own `x-dead-…` headers are believed: the broker's dead-lettering keeps what any sender wrote.
    """
    headers = dict(message.headers or {})
    user_id = str(message.properties.get("user_id") or "")
    if user_id != service:
        headers = {name: value for name, value in headers.items() if not name.startswith("x-dead-")}
        headers["x-dead-user"] = user_id
    delivery = Delivery(
        body=raw(message.body),
        headers=headers,
        content_type=message.properties.get("content_type") or "",
        content_encoding=message.properties.get("content_encoding") or "utf-8",
        user_id=user_id,
        exchange=str(headers.get("x-dead-exchange") or ""),
        routing_key=str(headers.get("x-dead-routing-key") or ""),
    )
    if "x-dead-cause" in headers:
        return delivery, str(headers["x-dead-cause"]), str(headers.get("x-dead-reason", ""))
    death = _first_death(headers.get("x-death"))
    why = str(death.get("reason", "unknown"))
    headers["x-dead-queue"] = death.get("queue")
    return delivery, f"broker: {why}", f"RabbitMQ dead-lettered it itself: {why}"


def _first_death(deaths: Any) -> dict[str, Any]:
    """Return the broker's note of the last time that it dead-lettered the message."""
    if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict):
        return deaths[0]
    return {}
