"""A delivery: the bytes and headers as they came, and what can be told from them."""

from typing import Any, NamedTuple

import msgspec

from shared_events.contract import CONTRACTS, Envelope, Received, Unreadable, read
from shared_events.outbox import MESSAGES
from shared_events.retries import Forged


class Delivery(NamedTuple):
    """One message as the broker delivered it. Plain data: it crosses from the worker to its pool process."""

    body: bytes
    headers: dict[str, Any]
    content_type: str
    content_encoding: str
    user_id: str
    exchange: str
    routing_key: str

    @property
    def name(self) -> str:
        """The message type that the headers claim, for people to read."""
        return str(self.headers.get("task") or "unreadable")

    @property
    def label(self) -> str:
        """The name, if it is a published one: what is counted by must not be anybody's free text."""
        return self.name if self.name in CONTRACTS else "unknown"

    @property
    def id(self) -> str:
        """The message id that the headers claim, or nothing."""
        return str(self.headers.get("id") or "")

    @property
    def failures(self) -> int:
        """How often a handler failed on it: Celery's own `retries` header."""
        return whole(self.headers.get("retries"))

    @property
    def returns(self) -> int:
        """How often it came back unacknowledged, prefetched or running (counted by quorum queues)."""
        return whole(self.headers.get("x-delivery-count"))


def raw(body: str | bytes | memoryview) -> bytes:
    """Return a body as bytes (py-amqp gives an empty one as text)."""
    return body.encode() if isinstance(body, str) else bytes(body)


def whole(value: Any) -> int:
    """Return a count from a header; anybody may write anything there."""
    return min(value, 1_000_000) if isinstance(value, int) and value > 0 else 0


_body = msgspec.json.Decoder(tuple[tuple[Envelope], dict[str, Any], Any])


def open_envelope(delivery: Delivery) -> Envelope:
    """Return the envelope inside a delivery. Raises Unreadable, saying what is wrong with it."""
    if delivery.content_type != "application/json":
        raise Unreadable(f"the content type is {delivery.content_type!r}, not application/json")
    if delivery.content_encoding.lower() not in {"", "utf-8", "utf8"}:
        raise Unreadable(f"the content encoding is {delivery.content_encoding!r}, not utf-8")
    try:
        return _body.decode(delivery.body)[0][0]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"the body is not a message: {error}") from error


def read_delivery(delivery: Delivery, service: str) -> Received:
    """Return the message of a delivery.

    Raises Unreadable, UnknownContract, or Forged: what came through `messages` must have been published by the
    user of its source, and what came by `<service>.x` by the service itself (RabbitMQ validates `user_id`).
    """
    envelope = open_envelope(delivery)
    its = CONTRACTS.get(envelope.type)
    owner = its.sent_by if its else envelope.source
    publisher = owner if delivery.exchange == MESSAGES else service
    if envelope.source != owner or delivery.user_id != publisher:
        raise Forged(
            f"{envelope.type} from {envelope.source!r} was published by user {delivery.user_id!r}"
            f" through {delivery.exchange!r}"
        )
    return read(envelope)
