"""`orderflow scale`: run more or fewer of a process."""

from pathlib import Path

import click

from orderflow_cli.options import data_option
from orderflow_cli.up import Sizes


@click.command()
@click.argument("sizes", metavar="NAME=N…", nargs=-1, required=True, type=Sizes())
@data_option
def command(sizes: tuple[dict[str, int], ...], data: Path) -> None:
    """Run N of each process named, such as `orders-worker=3`; who has to go finishes what it is doing."""
    from local_stack import client

    client.resize(data, {base: n for each in sizes for base, n in each.items()}, None, click.echo)
