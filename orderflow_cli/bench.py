"""`orderflow bench`: what an order costs and how fast it goes, beside others who do the same business."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from orderflow_cli import extra
from orderflow_cli.errors import CommandError
from orderflow_cli.options import ROOT, data_option, json_option


@click.command()
@click.option("--quick", is_flag=True, help="Small sizes, one round: minutes, and rough figures.")
@click.option("--rounds", type=click.IntRange(1, 20), help="How many rounds.  [3; quick: 1]")
@click.option("--only", metavar="SECTION", multiple=True, help="Only this section; may be repeated.")
@click.option(
    "--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Where the JSON file and the plots go.  [bench/results in the stack's directory]",
)  # fmt: skip
@json_option
@data_option
def command(
    quick: bool, rounds: int | None, only: tuple[str, ...], output: Path | None, as_json: bool, data: Path
) -> None:
    """Measure the whole system and its contenders, in turn, on a stack of its own that is empty at the start.

    The status is 1 if anything of ours is unfinished at the end of a turn, or an invariant is broken.
    """
    if not (ROOT / "bench").is_dir():
        raise CommandError("the bench is not installed here: run it from a checkout")
    extra.install("bench", "the bench and its contenders need")
    sys.path.insert(0, str(ROOT))
    from bench.verb import Options, bench

    options = Options(quick, rounds, only, data / "bench", output or data / "bench" / "results")
    document, table = bench(options, _teller())
    click.echo(json.dumps(document, indent=1) if as_json else table)


def _teller() -> Callable[[str], None]:
    console: Any = Console(file=sys.stderr, highlight=False)
    began = time.monotonic()

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f} s[/]  {line}", soft_wrap=True)

    return say
