"""Logs: one JSON object a line (or text for people), with what the line is about beside it.

What a line is about (`order_id`, `correlation_id`, `message_id`, …) is set once by the runtime, with
`context`; business files never mention it.
"""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import msgspec
from pythonjsonlogger.msgspec import MsgspecFormatter

from shared_events import environment, trace

_ABOUT: ContextVar[Mapping[str, object]] = ContextVar("logs_about", default=MappingProxyType({}))
_encoder = msgspec.json.Encoder(enc_hook=str)


@contextmanager
def context(**fields: object) -> Iterator[None]:
    """Add fields to every line logged inside; None adds nothing."""
    added = {name: value for name, value in fields.items() if value is not None}
    token = _ABOUT.set({**_ABOUT.get(), **added})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def each(logger: logging.Logger, message: str, about: Sequence[Mapping[str, object]]) -> None:
    """Log a line for each of these, with what it is about beside it: all of them cost little more than one."""
    if about:
        logger.info(message, extra={"each": about})


def configure(process_default: str) -> None:
    """Send all logs to standard error, as ORDERFLOW_LOG_LEVEL and ORDERFLOW_LOG_FORMAT say.

    The process is named by ORDERFLOW_PROCESS_NAME, or else `process_default`.
    """
    level = environment.choice("ORDERFLOW_LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO")
    style = environment.choice("ORDERFLOW_LOG_FORMAT", ("json", "console"), "json")
    process = environment.text("ORDERFLOW_PROCESS_NAME", process_default)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_About(process))
    handler.setFormatter(_Json() if style == "json" else _Console())
    # In no line of ours, and to find them costs as much as the rest of it (gunicorn's lines have the process id).
    logging.logThreads = logging.logMultiprocessing = False
    logging._srcfile = None
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


class _About(logging.Filter):
    """Puts the process name and the context on every record; never drops one."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def filter(self, record: logging.LogRecord) -> bool:
        record.process_name = self._process
        about = {name: str(value) for name, value in _ABOUT.get().items()}
        traceparent = trace.current()
        if traceparent:
            about["trace_id"] = trace.trace_id(traceparent)
        record.about = about
        return True


class _Json(MsgspecFormatter):
    """Time, level, logger, process and message first, then what the line is about and its extra fields."""

    def __init__(self) -> None:
        super().__init__("%(message)s", reserved_attrs=(*_BUILT_IN, "about", "each", "process_name"))

    def format(self, record: logging.LogRecord) -> str:
        if not hasattr(record, "each"):
            return super().format(record)
        first = {**self._first(record), "message": record.getMessage()}
        return _encoder.encode_lines([{**first, **one} for one in _each(record)]).decode().rstrip("\n")

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        log_data.update(self._first(record))
        super().add_fields(log_data, record, message_dict)
        log_data.update(getattr(record, "about", {}))

    def _first(self, record: logging.LogRecord) -> dict[str, object]:
        return {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "process": getattr(record, "process_name", ""),
        }

    def formatTime(  # noqa: N802  (logging's own name)
        self,
        record: logging.LogRecord,
        datefmt: str | None = None,  # noqa: ARG002
    ) -> str:
        return _time_of(record)


class _Console(logging.Formatter):
    """For people: time, level, logger, message, then name=value pairs."""

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        first = f"{_time_of(record)} {record.levelname:<7} {record.name}: {record.message}"
        line = "\n".join("  ".join(filter(None, (first, _pairs(about)))) for about in _each(record))
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _each(record: logging.LogRecord) -> list[dict[str, object]]:
    """Return what each line of a record is about: its context, and what is its own."""
    context = getattr(record, "about", {})
    return [{**context, **own} for own in getattr(record, "each", [{}])]


def _pairs(about: Mapping[str, object]) -> str:
    return " ".join(f"{name}={value}" for name, value in about.items())


_BUILT_IN = (*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName")


def _time_of(record: logging.LogRecord) -> str:
    """Return the record's time in UTC, with milliseconds."""
    return f"{_second(int(record.created))}.{int(record.msecs):03d}Z"


@lru_cache(maxsize=1)
def _second(since_1970: int) -> str:
    return datetime.fromtimestamp(since_1970, UTC).strftime("%Y-%m-%dT%H:%M:%S")
