"""A process's configuration: environment variables, each also as `…_FILE` (a path, for secrets).

One process belongs to one service, so no name carries a service (docs/environment.md lists them all).
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

_REQUIRED = object()
T = TypeVar("T")


class BadSetting(Exception):
    """A variable is missing or unreadable; the text names it and says what was expected."""


def text(name: str, default: str | object = _REQUIRED) -> str:
    """Return the variable's text, or that of the file which `<name>_FILE` names.

    Raises BadSetting if both are set, if the file cannot be read, or if neither is set and there is no default.
    """
    direct, path = os.environ.get(name, ""), os.environ.get(f"{name}_FILE", "")
    if direct and path:
        raise BadSetting(f"{name} and {name}_FILE are both set: keep one")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadSetting(f"{name}_FILE names {path}, which cannot be read: {error.strerror}") from error
    if direct:
        return direct
    if default is _REQUIRED:
        raise BadSetting(f"{name} is missing")
    return str(default)


def url(name: str, *schemes: str, default: str | object = _REQUIRED) -> str:
    """Return an address that begins with one of `schemes` (`redis`, `https`, …)."""
    value = text(name, default)
    if value.partition("://")[0] not in schemes:
        expected = " or ".join(f"{scheme}://" for scheme in schemes)
        raise BadSetting(f"{name} must begin with {expected}")
    return value


def number(name: str, default: float | object = _REQUIRED, *, least: float = 0) -> float:
    """Return a number (seconds, if it is a duration) of at least `least`."""
    value = text(name, default)
    try:
        result = float(value)
    except ValueError as error:
        raise BadSetting(f"{name} must be a number, not {value!r}") from error
    if not least <= result < float("inf"):
        raise BadSetting(f"{name} must be at least {least:g}, not {value!r}")
    return result


def whole(name: str, default: int | object = _REQUIRED, *, least: int = 0) -> int:
    """Return a whole number of at least `least`."""
    value = number(name, default, least=least)
    if value != int(value):
        raise BadSetting(f"{name} must be a whole number, not {value!r}")
    return int(value)


def choice(name: str, options: tuple[str, ...], default: str | object = _REQUIRED) -> str:
    """Return one of `options`."""
    value = text(name, default)
    if value not in options:
        raise BadSetting(f"{name} must be one of {', '.join(options)}, not {value!r}")
    return value


def flag(name: str, default: bool) -> bool:
    """Return true for `1`, `true`, `yes`, `on`; false for `0`, `false`, `no`, `off`."""
    value = text(name, str(default)).lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise BadSetting(f"{name} must be true or false, not {value!r}")


def load_or_exit(load: Callable[[], T]) -> T:
    """Return `load()`; on a bad setting print one line and end the process with status 2."""
    try:
        return load()
    except BadSetting as error:
        stop(str(error))


def stop(reason: str) -> NoReturn:
    """Print one line and end the process with status 2.

    In a worker of gunicorn with 4: at any other status gunicorn would start the worker again, for ever.
    """
    print(f"orderflow: {reason}", file=sys.stderr)
    sys.exit(4 if os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn") else 2)
