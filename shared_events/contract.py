"""What a message is: its kind, name, version and envelope, and how an older version is read.

Task name = message type = routing key. JSON only. The published messages are in `shared_events/contracts/`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen value that crosses the bus. Subclass one of the four kinds below, never this."""


class Command(Message, frozen=True, kw_only=True):
    """Tells one service to do something; it answers with a reply."""


class Reply(Message, frozen=True, kw_only=True):
    """Tells the asker what came of a command, or asks it about what it owns."""


class Timer(Message, frozen=True, kw_only=True):
    """A message of a service to itself, due later; it never leaves the service's own exchange."""


class Fact(Message, frozen=True, kw_only=True):
    """Something that happened, for anyone who subscribes."""


MessageClass = type[Message]
M = TypeVar("M", bound=Message)
JOURNEY = "order_id"
"""The field that names the journey of a message; one without it goes on the journey of its cause."""
Upcaster = Callable[[dict[str, Any]], dict[str, Any]]


class Unreadable(Exception):
    """The message can never be read: wrong envelope, wrong shape, not JSON."""


class UnknownContract(Exception):
    """This release does not know the type, or knows only older versions of it; a newer release may."""


@dataclass(frozen=True)
class Contract:
    """The published promise about one message type.

    `subject` names the field that says what the message is about; `sent_by` is the only service that may
    publish it (RabbitMQ's topic permissions are made from it).
    """

    type: str
    version: int
    message: MessageClass
    subject: str
    sent_by: str
    upcasters: dict[int, Upcaster] = field(default_factory=dict)

    @property
    def kind(self) -> MessageClass:
        """Command, Reply, Timer or Fact."""
        kind: MessageClass = self.message.__bases__[0]
        return kind

    @property
    def schema_name(self) -> str:
        """The `dataschema` attribute: names the frozen schema of this version."""
        return f"/schemas/{self.type}/{self.version}"

    def raise_to_current(self, data: dict[str, Any], version: int) -> dict[str, Any]:
        """Return `data` of an older `version` in today's shape."""
        for step in range(version, self.version):
            data = self.upcasters[step](data)
        return data


CONTRACTS: dict[str, Contract] = {}
_BY_CLASS: dict[type[Message], Contract] = {}


def contract(name: str, *, version: int = 1, subject: str, sent_by: str = "") -> Callable[[type[M]], type[M]]:
    """Publish a message class under `<service>.<noun_verb>`; `sent_by` defaults to that service."""

    def publish(message: type[M]) -> type[M]:
        if name in CONTRACTS:
            raise ValueError(f"{name} is published twice")
        made = Contract(name, version, message, subject, sent_by or name.partition(".")[0])
        CONTRACTS[name] = _BY_CLASS[message] = made
        return message

    return publish


def upcast(name: str, *, from_version: int) -> Callable[[Upcaster], Upcaster]:
    """Register the named step that raises version `from_version` of a message to the next one."""

    def register(step: Upcaster) -> Upcaster:
        CONTRACTS[name].upcasters[from_version] = step
        return step

    return register


def contract_of(message: Message | type[Message]) -> Contract:
    """Return the contract of a message or message class."""
    return _BY_CLASS[message if isinstance(message, type) else type(message)]


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The CloudEvents 1.0 attributes of a message, and ours: who caused it, and which journey it belongs to.

    `aggregate_version` is the version of the thing that a fact is about: a copy applies only newer ones.
    `correlation_id` is the journey (an order's id), `causation_id` the id of the parent message.
    """

    id: UUID
    source: str
    type: str
    time: datetime
    subject: str
    dataschema: str
    version: int
    correlation_id: UUID
    data: msgspec.Raw
    specversion: str = "1.0"
    datacontenttype: str = "application/json"
    aggregate_version: int | None = None
    causation_id: UUID | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """A message as read from the bus."""

    envelope: Envelope
    message: Message


_encode = msgspec.json.Encoder().encode


def seal(
    message: Message,
    *,
    correlation_id: UUID,
    causation_id: UUID | None = None,
    traceparent: str | None = None,
    now: datetime | None = None,
) -> Envelope:
    """Put a message into an envelope under a new id (UUIDv7); if it names a journey, that is its correlation."""
    its = contract_of(message)
    return Envelope(
        id=uuid7(),
        source=its.sent_by,
        type=its.type,
        time=now or datetime.now(UTC),
        subject=str(getattr(message, its.subject)),
        dataschema=its.schema_name,
        version=its.version,
        correlation_id=getattr(message, JOURNEY, correlation_id),
        data=msgspec.Raw(_encode(message)),
        aggregate_version=getattr(message, "aggregate_version", None),
        causation_id=causation_id,
        traceparent=traceparent,
    )


def encode(envelope: Envelope) -> bytes:
    """Return the envelope as JSON."""
    return _encode(envelope)


@cache
def _decoder(shape: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


def read(envelope: Envelope) -> Received:
    """Return the message inside `envelope`, raised to the current version.

    Raises UnknownContract for a type or version of a newer release, Unreadable for a wrong shape.
    """
    its = CONTRACTS.get(envelope.type)
    if its is None:
        raise UnknownContract(f"no contract is called {envelope.type!r}")
    if envelope.version > its.version:
        raise UnknownContract(f"{its.type} is known up to version {its.version}, not {envelope.version}")
    try:
        if envelope.version == its.version:
            return Received(envelope, _decoder(its.message).decode(envelope.data))
        older = _decoder(dict[str, Any]).decode(envelope.data)
        return Received(envelope, msgspec.convert(its.raise_to_current(older, envelope.version), its.message))
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise Unreadable(f"{its.type} version {envelope.version} has the wrong shape: {error}") from error
