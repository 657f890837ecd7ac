"""Options that mean the same on every verb."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

ROOT = Path(__file__).resolve().parents[1]
_KEY = "orderflow.data"
_DIRECTORY = click.Path(file_okay=False, path_type=Path)

F = TypeVar("F", bound=Callable[..., Any])


def data_option(function: F) -> F:
    """Give a verb `--data DIR` (argument `data`): the directory of the stack that it is about."""

    def chosen(context: click.Context, _option: click.Parameter, value: Path | None) -> Path:
        directory: Path = value or context.meta.get(_KEY) or ROOT / ".orderflow"
        return directory.absolute()

    return click.option(
        "--data",
        type=_DIRECTORY,
        callback=chosen,
        help="The stack's directory.  [env: ORDERFLOW_DATA; default: .orderflow/ of the project]",
    )(function)


def data_before_verb(function: F) -> F:
    """Accept `--data DIR` before the verb too."""

    def remember(context: click.Context, _option: click.Parameter, value: Path | None) -> None:
        context.meta[_KEY] = value

    return click.option(
        "--data",
        type=_DIRECTORY,
        envvar="ORDERFLOW_DATA",
        callback=remember,
        expose_value=False,
        help="The stack's directory, for any command.  [env: ORDERFLOW_DATA]",
    )(function)


def json_option(function: F) -> F:
    """Give a verb `--json` (argument `as_json`)."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(function)
