"""`orderflow logs`: show a process's log."""

import time
from collections.abc import Iterator
from pathlib import Path

import click

from orderflow_cli.errors import CommandError
from orderflow_cli.options import data_option

_POLL_S = 0.2


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on as the log grows.")
@click.option("-n", "--lines", type=click.IntRange(0), default=100, help="How many lines back.  [100]")
@data_option
def command(name: str, follow: bool, lines: int, data: Path) -> None:
    """Show the log of a process, a server, or the `supervisor`."""
    path = data / "logs" / f"{name}.log"
    if "/" in name or not path.exists():
        known = sorted(each.stem for each in (data / "logs").glob("*.log"))
        raise CommandError(f"no log of {name}; there are: {', '.join(known) or 'none'}")
    with path.open(encoding="utf-8", errors="replace") as log:
        content = log.read().splitlines(keepends=True)
        click.echo("".join(content[len(content) - min(lines, len(content)) :]), nl=False)
        if follow:
            for part in _grow(log):
                click.echo(part, nl=False)


def _grow(log: Iterator[str]) -> Iterator[str]:
    while True:
        part = next(log, "")
        if part:
            yield part
        else:
            time.sleep(_POLL_S)
