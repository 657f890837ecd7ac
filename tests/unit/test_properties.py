"""Whatever a sender writes into a message's properties, it can be read, and its user stays known."""

import struct
from collections.abc import Iterator

import pytest
from amqp import serialization
from amqp.basic_message import Message
from amqp.spec import Basic

from shared_events.delivery import plain_headers
from shared_events.properties import UNREADABLE, read_any_properties
from shared_events.runtime import _kept

TYPE, ENCODING, HEADERS, USER = 0x8000, 0x4000, 0x2000, 0x0010


@pytest.fixture(autouse=True)
def tolerant() -> Iterator[None]:
    before = dict(serialization.PROPERTY_CLASSES)
    read_any_properties()
    yield
    serialization.PROPERTY_CLASSES.update(before)


def short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def table(name: bytes, value: bytes) -> bytes:
    inside = short(name) + value
    return struct.pack(">I", len(inside)) + inside


def nested(levels: int) -> bytes:
    """Return a header value of tables within tables."""
    value = b"V"
    for _ in range(levels):
        value = b"F" + table(b"a", value)
    return value


def read(flags: int, *parts: bytes) -> Message:
    message = Message()
    message._load_properties(Basic.CLASS_ID, struct.pack(">H", flags) + b"".join(parts), 0)
    return message


@pytest.mark.parametrize(
    ("flags", "parts", "why"),
    [
        (TYPE | HEADERS, [short(b"\xff\xfe"), table(b"a", b"V")], "UnicodeDecodeError"),
        (TYPE | ENCODING, [short(b"text/plain"), short(b"\xff")], "UnicodeDecodeError"),
        (HEADERS, [table(b"a", b"T" + struct.pack(">Q", 1_760_000_000_000))], "ValueError"),
        (HEADERS, [table(b"a", b"T" + b"\xff" * 8)], "OverflowError"),
        (HEADERS, [table(b"a", b"?")], "FrameSyntaxError"),
        (HEADERS, [table(b"a", nested(20_000))], "RecursionError"),
    ],
    ids=["content type", "content encoding", "milliseconds", "far future", "unknown type", "too deep"],
)
def test_what_cannot_be_read_becomes_a_header(flags: int, parts: list[bytes], why: str) -> None:
    message = read(flags | USER, *parts, short(b"orders"))

    assert message.headers[UNREADABLE].startswith(why)
    assert message.properties["user_id"] == "orders"


def test_properties_that_end_too_early_are_read_as_none() -> None:
    message = read(HEADERS | USER, struct.pack(">I", 99), b"?")

    assert list(message.properties) == ["application_headers"]


def test_what_can_be_read_is_read_as_ever() -> None:
    message = read(TYPE | USER, short(b"application/json"), short(b"orders"))

    assert message.properties == {"content_type": "application/json", "user_id": "orders"}


def test_headers_are_made_plain() -> None:
    deep: dict[str, object] = {}
    for _ in range(800):
        deep = {"a": [deep]}

    plain = plain_headers({b"\xff" * 255: {b"\xfe": 1}, "deep": deep, "CC": ["work"], "n": 5})

    (name, *others) = plain
    assert len(name.encode()) <= 255
    assert others == ["deep", "n"]
    assert plain[name] == {"þ": 1}
    assert "too deep" in repr(plain["deep"])


def test_a_copy_keeps_only_headers_that_leave_room_in_the_frame() -> None:
    """Characters of four bytes each: counted as one, they would fill the frame and close our own connection."""
    assert _kept({"wide": "\U0001f680" * 31_000, "task": "a.b"}) == {"task": "a.b"}
