"""The W3C trace context: one trace id follows a request through every message it causes."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SHAPE = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_CURRENT: ContextVar[str | None] = ContextVar("traceparent", default=None)


def new() -> str:
    """Return the `traceparent` of a trace that begins here."""
    drawn = secrets.token_hex(24)
    return f"00-{drawn[:32]}-{drawn[32:]}-01"


def accept(traceparent: str | None) -> str:
    """Return a `traceparent` that continues the given one with a span of our own, or begins a new trace."""
    found = _SHAPE.fullmatch(traceparent or "")
    return f"00-{found[1]}-{secrets.token_hex(8)}-{(traceparent or '')[-2:]}" if found else new()


def current() -> str | None:
    """Return the `traceparent` in force here, if any."""
    return _CURRENT.get()


def trace_id(traceparent: str) -> str:
    """Return the trace id inside a `traceparent`."""
    return traceparent[3:35]


@contextmanager
def following(traceparent: str) -> Iterator[None]:
    """Put a `traceparent` in force for what runs inside."""
    token = _CURRENT.set(traceparent)
    try:
        yield
    finally:
        _CURRENT.reset(token)
