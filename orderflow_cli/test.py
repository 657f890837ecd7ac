"""`orderflow test`: run the whole test suite."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import click

from orderflow_cli.errors import CommandError
from orderflow_cli.options import ROOT

_LOCK = ROOT / "requirements-test.lock"


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", metavar="[PYTEST ARGUMENTS]…", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Run the test suite with pytest, on servers of its own."""
    if not (ROOT / "tests").is_dir():
        raise CommandError("the tests are not installed here: run them from a checkout")
    _install()
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", *arguments])  # noqa: S606 - ourselves


def _install() -> None:
    """Install what the tests need into .venv, once for each state of their lock file."""
    stamp = Path(sys.prefix) / "orderflow-test.stamp"
    wanted = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    click.echo("orderflow: installing what the tests need (once)", err=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    result = subprocess.run(  # noqa: S603 - fixed command
        [*pip, "--require-hashes", "-r", str(_LOCK)], capture_output=True, text=True, check=False
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["no reason given"]
        raise CommandError(f"cannot install what the tests need: {lines[-1]}")
    stamp.write_text(wanted)
