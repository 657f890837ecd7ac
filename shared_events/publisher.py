"""Publishing with batched confirms: many messages, one wait for all of them.

Used by the relay for everything that leaves, and by workers for retries and dead letters.
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

import amqp
from amqp import spec

from shared_events.parcel import Parcel, Unspeakable

CONFIRM_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 3.0
HEARTBEAT_S = 20


class NotPublished(Exception):
    """The broker could not be reached, or did not confirm in time: nothing is known of the messages."""


@dataclass
class Outcome:
    """What became of a batch, as ids: confirmed and routed, returned (no queue is bound), or refused."""

    confirmed: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)


def user_of(broker_url: str) -> str:
    """Return the user name in a broker address: it is the name of the service."""
    return unquote(urlsplit(broker_url).username or "")


def connect(broker_url: str, *, heartbeat: int = HEARTBEAT_S) -> amqp.Connection:
    """Open a connection with bounded time-outs. Raises NotPublished if the broker is not there."""
    parts = urlsplit(broker_url)
    connection = amqp.Connection(
        host=f"{parts.hostname}:{parts.port or 5672}",
        userid=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        virtual_host=unquote(parts.path[1:]) or "/",
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=CONFIRM_TIMEOUT_S,
        write_timeout=CONFIRM_TIMEOUT_S,
        heartbeat=heartbeat,
        on_blocked=_refuse_when_blocked,
    )
    try:
        connection.connect()
    except (OSError, amqp.AMQPError) as error:
        raise NotPublished(f"cannot reach the broker: {error}") from error
    return connection


def _refuse_when_blocked(reason: str) -> None:
    raise NotPublished(f"the broker blocks publishers: {reason}")


class Publisher:
    """A connection that publishes batches and waits for their confirms; reconnects when it was lost."""

    def __init__(self, broker_url: str) -> None:
        self._url = broker_url
        self._user = user_of(broker_url)
        self._connection: amqp.Connection | None = None
        self._wave: _Wave | None = None
        self._used_at = 0.0

    def publish(self, parcels: Sequence[Parcel]) -> Outcome:
        """Publish all, wait once. If one cannot be said, or is refused, or is nacked, they go one by one.

        Raises NotPublished if the broker is away or silent; then nothing is known of any of them.
        """
        try:
            outcome = self._together(parcels)
        except (amqp.ChannelError, Unspeakable):
            outcome = Outcome()
        left = [each for each in parcels if each.id not in outcome.confirmed | outcome.returned]
        for parcel in left:
            self._alone(parcel, outcome)
        return outcome

    def _together(self, parcels: Sequence[Parcel]) -> Outcome:
        try:
            wave = self._open()
            wave.send(parcels, self._user)
            return wave.settle(CONFIRM_TIMEOUT_S)
        except amqp.ChannelError:
            self._wave = None
            raise
        except (OSError, amqp.AMQPError, NotPublished) as error:
            self.close()
            raise NotPublished(f"not confirmed: {error}") from error

    def _alone(self, parcel: Parcel, outcome: Outcome) -> None:
        try:
            alone = self._together([parcel])
        except (amqp.ChannelError, Unspeakable) as error:
            outcome.refused[parcel.id] = str(error)
            return
        outcome.confirmed |= alone.confirmed
        outcome.returned |= alone.returned

    def _open(self) -> "_Wave":
        if time.monotonic() - self._used_at > HEARTBEAT_S:
            self.close()  # nobody answered the broker's heartbeats: it may have hung up
        self._used_at = time.monotonic()
        if self._connection is None or not self._connection.connected:
            self._connection, self._wave = connect(self._url), None
        if self._wave is None:
            self._wave = _Wave(self._connection.channel())
        return self._wave

    def keep_alive(self) -> None:
        """Answer the broker's heartbeats while there is nothing to publish."""
        if self._connection is None:
            return
        try:
            self._connection.heartbeat_tick()
            self._used_at = time.monotonic()
            self._connection.drain_events(timeout=0.001)
        except TimeoutError:
            pass
        except (OSError, amqp.AMQPError):
            self.close()

    @property
    def connected(self) -> bool:
        """Whether the connection is open, as far as is known."""
        return self._connection is not None and bool(self._connection.connected)

    def close(self) -> None:
        """Drop the connection; the next publish opens another."""
        connection, self._connection, self._wave = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(OSError, amqp.AMQPError):
                connection.collect()

    def __enter__(self) -> "Publisher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Wave:
    """A channel in confirm mode, and what is still unconfirmed on it."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._sequence = 0
        self._waiting: dict[int, str] = {}
        self._nacked: set[str] = set()
        self._returned: set[str] = set()
        self._confirmed: set[str] = set()
        channel.confirm_select()
        channel.events["basic_ack"].add(self._on_ack)
        channel._callbacks[spec.Basic.Nack] = self._on_nack  # py-amqp offers no event for nacks
        channel.events["basic_return"].add(self._on_return)

    def send(self, parcels: Sequence[Parcel], user: str) -> None:
        """Write all of them at once: each write would wake the broker. Raises Unspeakable, and nothing is sent."""
        connection = self._channel.connection
        if connection is None:
            raise amqp.RecoverableConnectionError("the channel is closed")
        its = {"user": user, "channel": self._channel.channel_id, "frame_max": connection.frame_max}
        written = b"".join([parcel.frames(**its) for parcel in parcels])
        for parcel in parcels:
            self._sequence += 1
            self._waiting[self._sequence] = parcel.id
        connection.transport.write(written)

    def settle(self, timeout_s: float) -> Outcome:
        end = time.monotonic() + timeout_s
        while self._waiting:
            left = end - time.monotonic()
            if left <= 0:
                raise NotPublished(f"{len(self._waiting)} messages were not confirmed in {timeout_s:g} s")
            self._channel.connection.drain_events(timeout=left)
        outcome = Outcome(confirmed=self._confirmed - self._returned, returned=self._returned)
        self._confirmed, self._returned, self._nacked = set(), set(), set()
        return outcome

    def _take(self, tag: int, multiple: bool) -> list[str]:
        tags = [each for each in self._waiting if each <= tag] if multiple else [tag]
        return [self._waiting.pop(each) for each in tags if each in self._waiting]

    def _on_ack(self, tag: int, multiple: bool) -> None:
        self._confirmed.update(self._take(tag, multiple))

    def _on_nack(self, tag: int, multiple: bool, *_: Any) -> None:
        self._nacked.update(self._take(tag, multiple))

    def _on_return(self, _error: Exception, _exchange: str, _routing_key: str, message: Any) -> None:
        self._returned.add(str(message.properties.get("message_id")))
