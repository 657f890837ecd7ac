"""`orderflow test`: run the whole test suite."""

import os
import sys

import click

from orderflow_cli import extra
from orderflow_cli.errors import CommandError
from orderflow_cli.options import ROOT


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", metavar="[PYTEST ARGUMENTS]…", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Run the test suite with pytest, on servers of its own."""
    if not (ROOT / "tests").is_dir():
        raise CommandError("the tests are not installed here: run them from a checkout")
    extra.install("test", "the tests need")
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])  # noqa: S606 - ourselves
