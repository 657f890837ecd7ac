"""`orderflow migrate`: bring the four databases to the newest schema."""

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from orderflow_cli.errors import CommandError

ROOT = Path(__file__).resolve().parents[1]


def migrate(database_urls: Mapping[str, str], *, check: bool = False) -> None:
    """Upgrade each service's database to head, all at once; with `check` only see that each is there.

    CommandError names the first service whose migrations failed.
    """
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda item: _alembic(*item, check=check), database_urls.items()))


def _alembic(service: str, url: str, *, check: bool) -> None:
    action = ["current", "--check-heads"] if check else ["upgrade", "head"]
    result = subprocess.run(  # noqa: S603 - fixed command
        [sys.executable, "-m", "alembic", "-c", "migrations/alembic.ini", "-n", service, *action],
        cwd=ROOT,
        env={**os.environ, "ORDERFLOW_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines() or ["no reason given"]
        what = "is not at the newest schema" if check else "migration failed"
        raise CommandError(f"{service}: {what}: {lines[-1]}")
