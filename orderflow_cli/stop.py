"""`orderflow stop`: end some of a stack's processes; they stay ended."""

from pathlib import Path

import click

from orderflow_cli.options import data_option


@click.command()
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@data_option
def command(names: tuple[str, ...], data: Path) -> None:
    """End these processes gracefully. They stay ended until `start`, or the next `up`.

    A service's name alone (`inventory`) means all of its own.
    """
    from local_stack import client

    click.echo(f"stopped {', '.join(client.act(data, 'stop', names))}")
