"""`orderflow start`: start what was stopped."""

from pathlib import Path

import click

from orderflow_cli.options import data_option


@click.command()
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@data_option
def command(names: tuple[str, ...], data: Path) -> None:
    """Start these processes again and wait until they are ready.

    A service's name alone (`inventory`) means all of its own.
    """
    from local_stack import client

    click.echo(f"started {', '.join(client.act(data, 'start', names))}")
