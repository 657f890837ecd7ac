"""`orderflow restart`: end some of a stack's processes and start them again."""

from pathlib import Path

import click

from orderflow_cli.options import data_option


@click.command()
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@data_option
def command(names: tuple[str, ...], data: Path) -> None:
    """End these processes gracefully, start them again and wait until they are ready.

    A service's name alone (`inventory`) means all of its own.
    """
    from local_stack import client

    click.echo(f"restarted {', '.join(client.act(data, 'restart', names))}")
