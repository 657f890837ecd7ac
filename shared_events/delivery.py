"""A delivery: the bytes and headers as they came, and what can be told from them."""

from typing import Any, NamedTuple

import msgspec

from shared_events.contract import CONTRACTS, Envelope, Received, Unreadable, read
from shared_events.outbox import MESSAGES
from shared_events.properties import UNREADABLE, as_text
from shared_events.retries import Forged

_DEEPEST = 20
"""Tables within tables go no deeper: far below what pickle, `repr` and JSON can walk."""
_OTHER_WAYS = {"CC", "BCC"}
"""RabbitMQ reads these as further routing keys: our copy would take its sender's way with our name on it."""


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


def plain_headers(table: dict[Any, Any] | None) -> dict[str, Any]:
    """Return headers that any code can handle and any copy may carry, whatever their sender wrote."""
    headers = _plain(table or {}, _DEEPEST)
    return {name: value for name, value in headers.items() if name not in _OTHER_WAYS}


def _plain(value: Any, levels: int) -> Any:
    if not isinstance(value, dict | list):
        return value
    if not levels:
        return "too deep"
    if isinstance(value, list):
        return [_plain(each, levels - 1) for each in value]
    return {as_text(name): _plain(each, levels - 1) for name, each in value.items()}


_body = msgspec.json.Decoder(tuple[tuple[Envelope], dict[str, Any], Any])


def open_envelope(delivery: Delivery) -> Envelope:
    """Return the envelope inside a delivery, whatever is said about its body. Raises Unreadable."""
    try:
        return _body.decode(delivery.body)[0][0]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(wrong_with(delivery) or f"the body is not a message: {error}") from error


def wrong_with(delivery: Delivery) -> str:
    """Return what is wrong with the delivery around its body, or nothing."""
    if UNREADABLE in delivery.headers:
        return f"the properties cannot be read: {delivery.headers[UNREADABLE]}"
    if delivery.content_type != "application/json":
        return f"the content type is {delivery.content_type!r}, not application/json"
    if delivery.content_encoding.lower() not in {"", "utf-8", "utf8"}:
        return f"the content encoding is {delivery.content_encoding!r}, not utf-8"
    return ""


def refuse_forged(envelope: Envelope, delivery: Delivery, service: str) -> None:
    """Raise Forged unless its user may have sent it.

    What came through `messages` must have been published by the user of its source, and what came by
    `<service>.x` by the service itself (RabbitMQ validates `user_id`).
    """
    its = CONTRACTS.get(envelope.type)
    owner = its.sent_by if its else envelope.source
    publisher = owner if delivery.exchange == MESSAGES else service
    if envelope.source != owner or delivery.user_id != publisher:
        raise Forged(
            f"{envelope.type} from {envelope.source!r} was published by user {delivery.user_id!r}"
            f" through {delivery.exchange!r}"
        )


def read_delivery(delivery: Delivery, service: str) -> Received:
    """Return the message of a delivery. Raises Unreadable, UnknownContract, or Forged.

    Forged goes first: what is unreadable only by its label would become readable in a replay.
    """
    envelope = open_envelope(delivery)
    refuse_forged(envelope, delivery, service)
    if wrong := wrong_with(delivery):
        raise Unreadable(wrong)
    return read(envelope)
