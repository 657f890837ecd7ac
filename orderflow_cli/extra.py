"""What only a developer's verb needs: it is installed into .venv at the first use, once for each lock file."""

import hashlib
import subprocess
import sys
from pathlib import Path

import click

from orderflow_cli.errors import CommandError
from orderflow_cli.options import ROOT


def install(extra: str, whose: str) -> None:
    """Install what `requirements-<extra>.lock` pins, unless that very state of it is installed."""
    lock = ROOT / f"requirements-{extra}.lock"
    stamp = Path(sys.prefix) / f"orderflow-{extra}.stamp"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    click.echo(f"orderflow: installing what {whose} (once)", err=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    result = subprocess.run(  # noqa: S603 - fixed command
        [*pip, "--require-hashes", "-r", str(lock)], capture_output=True, text=True, check=False
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["no reason given"]
        raise CommandError(f"cannot install what {whose}: {lines[-1]}")
    stamp.write_text(wanted)
