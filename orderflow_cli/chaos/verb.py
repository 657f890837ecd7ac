"""`orderflow chaos`: orders through every fault that we know how to make, and then the count."""

import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from orderflow_cli.chaos.kinds import KINDS
from orderflow_cli.client import Deployment, deployment
from orderflow_cli.errors import CommandError
from orderflow_cli.options import data_option, json_option

_OURS = {
    "ORDERFLOW_STOCK_DEADLINE_S": "90",
    "ORDERFLOW_PAYMENT_DEADLINE_S": "90",
    "ORDERFLOW_RETRY_TIERS_S": "1,5,30",
}
"""What a stack of our own is told, unless the environment says otherwise: an outage must not last a day."""


class Kinds(click.ParamType[tuple[str, ...]]):
    """Names of faults, separated by commas."""

    name = "a,b"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Read the names; each once."""
        names = tuple(dict.fromkeys(str(value).split(",")))
        unknown = [name for name in names if name not in KINDS]
        if unknown:
            self.fail(f"there is no fault {unknown[0]!r}; these are: {', '.join(KINDS)}", param, ctx)
        return names


@click.command()
@click.option("--orders", type=click.IntRange(1, 1_000_000), default=1000, help="How many orders.  [1000]")
@click.option(
    "--seconds", type=click.FloatRange(5, 86_400), metavar="S",
    help="How long to spread them over.  [8 for each kind of fault; at least 6 for each hundred, and 30]",
)  # fmt: skip
@click.option("--seed", type=int, default=1, help="The same seed gives the same faults.  [1]")
@click.option("--faults", "kinds", type=Kinds(), metavar="a,b", help="Only these kinds.  [all, mixed]")
@click.option("--yes", is_flag=True, help="Also on a deployment that is not for development.")
@json_option
@data_option
def command(
    orders: int,
    seconds: float | None,
    seed: int,
    kinds: tuple[str, ...] | None,
    yes: bool,
    as_json: bool,
    data: Path,
) -> None:
    """Run orders through the system while every part of it is broken in turn, and check that all is right.

    On the stack that runs, or on one that it starts and ends itself (only there can it break the network too).
    The status is 1 if an order is lost, doubled or stuck, an invariant is broken, a dead letter cannot be
    explained, or too little was tried to say so.
    """
    from orderflow_cli.chaos.report import text

    say = _teller(to_stderr=as_json)
    with ExitStack() as stack:
        its = stack.enter_context(_place(data, say))
        if not its.has_development_key and not yes:
            raise CommandError(f"{its.url} is not for development, as far as we know: to break it, say --yes")
        found = _run(its, orders, seconds, seed, kinds or tuple(KINDS), say)
    click.echo(json.dumps(found.document(), indent=1) if as_json else text(found))
    if found.failures:
        raise SystemExit(1)


def _run(
    its: Deployment,
    orders: int,
    seconds: float | None,
    seed: int,
    kinds: tuple[str, ...],
    say: Callable[[str], None],
) -> Any:
    from orderflow_cli.chaos.course import Chaos
    from orderflow_cli.chaos.scene import Scene
    from orderflow_cli.chaos.schedule import no_time, schedule, usual_s

    scene = Scene(its.data, say) if its.is_local else None
    absent = scene.left_out() if scene else dict.fromkeys(KINDS, "this is not the local stack")
    left_out = {kind: why for kind, why in absent.items() if kind in kinds}
    if scene and len(left_out) == len(kinds):
        raise CommandError("; ".join(f"{kind}: {why}" for kind, why in left_out.items()))
    possible = [kind for kind in kinds if kind not in left_out]
    lasts_s = seconds or usual_s(possible, orders)
    faults = schedule(seed, possible, lasts_s) if possible else ()
    left_out |= no_time(possible, faults)
    for kind, why in left_out.items():
        say(f"left out: {kind}: {why}")
    run = f"chaos-{secrets.token_hex(3)}"
    found = Chaos(its, scene, run, say).run(orders, lasts_s, seed, faults)
    found.left_out = left_out
    return found


@contextmanager
def _place(data: Path, say: Callable[[str], None]) -> Iterator[Deployment]:
    """Have a deployment: that of the environment, the stack that runs, or one of our own made for faults."""
    if os.environ.get("ORDERFLOW_URL"):
        yield deployment(data)
        return
    from local_stack import client
    from orderflow_cli.own_stack import running_stack

    if not client.running(data):
        for name, value in _OURS.items():
            os.environ.setdefault(name, value)  # also for `check`, which reads the same deadlines
    with running_stack(data, say, faulty=True):
        yield deployment(data)


def _teller(*, to_stderr: bool) -> Callable[[str], None]:
    console = Console(file=sys.stderr if to_stderr else sys.stdout, highlight=False)
    began = time.monotonic()

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f} s[/]  {line}", soft_wrap=True)

    return say
