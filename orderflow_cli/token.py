"""`orderflow token`: make a development access token."""

from pathlib import Path

import click

from orderflow_cli.options import data_option


@click.command()
@click.option("--customer", metavar="ID|EMAIL", help="The customer who bears it; without, a member of staff.")
@click.option("--scope", help='Scopes, separated by spaces.  ["customer", or "staff ops" without a customer]')
@data_option
def command(customer: str | None, scope: str | None, data: Path) -> None:
    """Print an access token, good for an hour, signed by the stack's development key."""
    from orderflow_cli import dev_key

    subject = customer or "staff@orderflow.local"
    scopes = scope or ("customer" if customer else "staff ops")
    click.echo(dev_key.sign(data, subject=subject, scopes=scopes))
