"""Frozen schemas and samples of every published version: what is on the bus, or in somebody's outbox, stays readable.

`python -m shared_events.contracts.frozen` adds what is new under `schemas/`; it never changes what is there.
"""

import sys
import types
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from shared_events import contracts as _contracts  # noqa: F401  registers every contract
from shared_events.contract import CONTRACTS, Contract, Message

SCHEMAS = Path(__file__).parent / "schemas"

_SAMPLES: dict[type, Callable[[], Any]] = {
    UUID: lambda: UUID("01930000-0000-7000-8000-000000000001"),
    datetime: lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    str: lambda: "text",
    int: lambda: 2,
    float: lambda: 1.5,
    bool: lambda: True,
}


def schema_file(message_type: str, version: int) -> Path:
    """Return where the schema of a version is frozen."""
    return SCHEMAS / message_type / f"{version}.json"


def sample_file(message_type: str, version: int) -> Path:
    """Return where the sample of a version is frozen."""
    return SCHEMAS / message_type / f"{version}.sample.json"


def schema(its: Contract) -> bytes:
    """Return the JSON Schema of a contract's present version, as it is frozen: without the words about it."""
    return _pretty(_without_words(msgspec.json.schema(its.message)))


def sample(message: type[Message]) -> Message:
    """Return a message of this class with something in every field."""
    made = _sample(message)
    if not isinstance(made, Message):
        raise TypeError(f"{message} is no message")
    return made


def freeze() -> list[Path]:
    """Write the schema and sample of every version that has none yet; return the new files."""
    written = []
    for its in CONTRACTS.values():
        for path, content in (
            (schema_file(its.type, its.version), schema(its)),
            (sample_file(its.type, its.version), _pretty(sample(its.message))),
        ):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                written.append(path)
    return written


def _sample(shape: Any) -> Any:
    origin, inner = get_origin(shape), get_args(shape)
    if origin is tuple:
        return (_sample(inner[0]),)
    if origin is types.UnionType:
        return _sample(inner[0])
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        return shape(**{name: _sample(kind) for name, kind in get_type_hints(shape).items()})
    return _SAMPLES[shape]()


def _without_words(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _without_words(each) for name, each in part.items() if name != "description"}
    return part


def _pretty(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


if __name__ == "__main__":
    for new in freeze():
        sys.stdout.write(f"{new.relative_to(SCHEMAS.parents[2])}\n")
