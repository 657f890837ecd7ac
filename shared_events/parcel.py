"""A message to publish, and how AMQP 0-9-1 has it on the wire (specification, 2.3.5 and 4.2).

py-amqp makes and sends the frames of one message at a time, and that was most of a relay's work; here those of a whole
batch are plain bytes. They are the same bytes: the tests compare them.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import amqp
from amqp.serialization import dumps

_BASIC, _PUBLISH = 60, 40
_METHOD, _HEADER, _BODY, _END = 1, 2, 3, b"\xce"
_PERSISTENT = b"\2"
# content-type, content-encoding, headers, delivery-mode, correlation-id, message-id, user-id
_PROPERTIES = 0b1111_0100_1001_0000
_FRAME = struct.Struct(">BHI")
_AROUND_A_FRAME = _FRAME.size + len(_END)
_TO_PUBLISH = struct.Struct(">HHH").pack(_BASIC, _PUBLISH, 0)
_CONTENT = struct.Struct(">HHQH")
_LENGTH = struct.Struct(">I")
_TEXT = struct.Struct(">cI")
_WHOLE = struct.Struct(">ci")
_LARGEST_WHOLE = 2**31 - 1


class Unspeakable(ValueError):
    """AMQP has no words for this message: a name longer than 255 bytes, a header of an unknown kind."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message to publish: where it goes, its body, its Celery headers. `id` tells it apart in a batch.

    If no queue is bound to its routing key, a `mandatory` one is returned and any other is gone.
    """

    id: str
    exchange: str
    routing_key: str
    body: bytes
    headers: dict[str, Any]
    content_type: str = "application/json"
    content_encoding: str = "utf-8"
    mandatory: bool = True

    def frames(self, *, user: str, channel: int, frame_max: int) -> bytes:
        """Return the frames that publish it, kept by the broker, in the name of its user.

        `frame_max` is what the connection allows, in bytes. Raises Unspeakable.
        """
        method = (
            _TO_PUBLISH
            + _known(self.exchange)
            + _known(self.routing_key)
            + (b"\1" if self.mandatory else b"\0")
        )
        its_id = _short(self.id)
        header = b"".join(
            (
                _CONTENT.pack(_BASIC, 0, len(self.body), _PROPERTIES),
                _known(self.content_type),
                _known(self.content_encoding),
                _table(self.headers),
                _PERSISTENT,
                its_id,
                its_id,
                _known(user),
            )
        )
        frames = _frame(_METHOD, channel, method) + _frame(_HEADER, channel, header)
        room = frame_max - _AROUND_A_FRAME
        for start in range(0, len(self.body), room):
            frames += _frame(_BODY, channel, self.body[start : start + room])
        return frames


def _frame(kind: int, channel: int, payload: bytes) -> bytes:
    return _FRAME.pack(kind, channel, len(payload)) + payload + _END


def _short(text: str | bytes) -> bytes:
    """Return a short text. What was read and is no UTF-8 is still bytes, and is passed on as it is."""
    encoded = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(encoded) > 255:
        raise Unspeakable(f"longer than 255 bytes: {text[:40]!r}…")
    return bytes((len(encoded),)) + encoded


_known = lru_cache(maxsize=256)(_short)


def _table(headers: Mapping[str, Any]) -> bytes:
    """Return a table of texts, numbers and nothings; py-amqp knows how the rest is said."""
    parts: list[bytes] = []
    for name, value in headers.items():
        if type(value) is str:
            text = value.encode("utf-8", "surrogatepass")
            parts += _known(name), _TEXT.pack(b"S", len(text)), text
        elif value is None:
            parts += _known(name), b"V"
        elif type(value) is int and abs(value) <= _LARGEST_WHOLE:
            parts += _known(name), _WHOLE.pack(b"I", value)
        else:
            return _table_of_anything(headers)
    table = b"".join(parts)
    return _LENGTH.pack(len(table)) + table


def _table_of_anything(headers: Mapping[str, Any]) -> bytes:
    try:
        table: bytes = dumps("F", [headers])
    except (amqp.FrameSyntaxError, struct.error) as error:
        raise Unspeakable(str(error)) from error
    return table
