"""`orderflow down`: end the stack."""

from pathlib import Path

import click

from orderflow_cli.options import data_option


@click.command()
@click.option("--wipe", is_flag=True, help="Remove its data too: databases, queues, keys, logs.")
@data_option
def command(wipe: bool, data: Path) -> None:
    """End the stack gracefully and leave no process behind; its data stays."""
    from local_stack import client, state

    found = client.down(data)
    click.echo("the stack has ended" if found else f"no stack runs in {data}")
    if wipe and data.exists():
        state.wipe(data)
        click.echo(f"removed the stack's data in {data}")
