"""`orderflow restart`: replace some of a stack's processes, one after the other."""

from pathlib import Path

import click

from orderflow_cli.options import data_option


@click.command()
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@data_option
def command(names: tuple[str, ...], data: Path) -> None:
    """Restart these processes one after the other, each when the one before it is ready again.

    A service's name alone (`inventory`) means all of its own. No request fails meanwhile: an API and the
    gateway end when their successor is at work; the others finish what they are doing.
    """
    from local_stack import client

    client.restart(data, names, click.echo)
