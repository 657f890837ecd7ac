"""`orderflow demo`: a few hundred orders through trouble, and then the count: nothing lost, nothing doubled."""

import json
import os
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import click

from orderflow_cli.client import Deployment, deployment
from orderflow_cli.errors import CommandError
from orderflow_cli.options import data_option, json_option


@click.command()
@click.option("--orders", type=click.IntRange(1, 100_000), default=200, help="How many orders.  [200]")
@click.option("--calm", is_flag=True, help="Kill and stop nothing.")
@click.option("--yes", is_flag=True, help="Also on a deployment that is not for development.")
@json_option
@data_option
def command(orders: int, calm: bool, yes: bool, as_json: bool, data: Path) -> None:
    """Run orders through the system, kill and stop parts of it meanwhile, and check that all is right.

    On the stack that runs, or on one that it starts and ends itself. The orders succeed, lack stock, are
    declined, time out, and are sent twice, on products and customers of their own. The status is 1 if an order
    is lost, ends otherwise than planned, or an invariant is broken.
    """
    from orderflow_cli.demo_plan import plan
    from orderflow_cli.demo_run import Demo
    from orderflow_cli.demo_view import View, table

    view = View(orders, to_stderr=as_json)
    with ExitStack() as stack:
        its = _deployment(data, stack, view.say)
        if not its.has_development_key and not yes:
            raise CommandError(
                f"{its.url} is not for development, as far as we know: to order there, say --yes"
            )
        result = Demo(its, plan(f"demo-{secrets.token_hex(3)}", orders), view, calm=calm).run()
    click.echo(json.dumps(result.document(), indent=1) if as_json else table(result))
    if result.failures:
        raise SystemExit(1)


def _deployment(data: Path, stack: ExitStack, say: Callable[[str], None]) -> Deployment:
    """Return the deployment of the environment, or a local stack, ours to end if none was there."""
    if not os.environ.get("ORDERFLOW_URL"):
        from orderflow_cli.own_stack import running_stack

        stack.enter_context(running_stack(data, say))
    return deployment(data)
