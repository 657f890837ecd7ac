"""The properties of any message can be read: what py-amqp cannot read becomes a header that says so."""

import struct
from typing import Any

from amqp import serialization
from amqp.basic_message import Message
from amqp.spec import Basic

UNREADABLE = "x-unreadable-properties"
"""The header that stands in for all headers when they or another property could not be read."""
_SIZES = {"o": 1, "L": 8}
_LONGEST_NAME = 127
"""Characters of Latin-1 take up to two bytes, and a short text of AMQP has room for 255."""


def read_any_properties() -> None:
    """Make py-amqp read every message in this process, whatever its sender wrote.

    Properties are decoded while a frame is read, below every callback. What raises there (a text that is not
    UTF-8, a time beyond the year 9999, tables within tables) ends the process; the broker delivers the
    message again, and it ends the next. `PROPERTY_CLASSES` is py-amqp's own table of decoders.
    """
    serialization.PROPERTY_CLASSES[Basic.CLASS_ID] = _properties


def as_text(raw: str | bytes) -> str:
    """Return a name or another short text, which py-amqp leaves as bytes if it is not UTF-8."""
    return raw if isinstance(raw, str) else raw.decode("latin-1")[:_LONGEST_NAME]


def _properties(buffer: bytes, offset: int) -> tuple[dict[str, Any], int]:
    try:
        found, end = serialization.decode_properties_basic(buffer, offset)
    except Exception as error:  # whatever anybody's bytes make it raise
        why = f"{type(error).__name__}: {error}"[:500]
        return {**_short_texts(buffer, offset), "application_headers": {UNREADABLE: why}}, len(buffer)
    return found, end


def _short_texts(buffer: bytes, offset: int) -> dict[str, Any]:
    """Return the properties that are short texts; the rest is skipped, unread.

    So the user is still known, whom RabbitMQ validated: without him nobody could say who sent the message.
    """
    found: dict[str, Any] = {}
    try:
        (flags,) = struct.unpack_from(">H", buffer, offset)
        offset += 2
        for place, (name, kind) in enumerate(Message.PROPERTIES):
            if not flags & (0x8000 >> place):
                continue
            size, offset = _size(kind, buffer, offset)
            if kind == "s":
                found[name] = _decoded(bytes(buffer[offset : offset + size]))
            offset += size
    except (struct.error, IndexError):
        return {}
    return found


def _size(kind: str, buffer: bytes, offset: int) -> tuple[int, int]:
    """Return how long the value is, and where it begins."""
    if kind == "s":
        return buffer[offset], offset + 1
    if kind == "F":
        (size,) = struct.unpack_from(">I", buffer, offset)
        return size, offset + 4
    return _SIZES[kind], offset


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return as_text(raw)
