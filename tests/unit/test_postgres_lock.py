"""A lock file is removed where PostgreSQL would take somebody else for its postmaster, and nowhere else."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from local_stack.binaries import Program
from local_stack.postgres import Postgres
from local_stack.process import started_at


@contextmanager
def sleeping(folder: Path) -> Iterator[int]:
    """A process at work in this folder."""
    with subprocess.Popen(["sleep", "60"], cwd=folder) as child:
        yield child.pid
        child.kill()


@contextmanager
def gone(folder: Path) -> Iterator[int]:
    """A process that has ended."""
    with sleeping(folder) as pid:
        pass
    yield pid


@contextmanager
def not_collected(folder: Path) -> Iterator[int]:
    """A process that has ended, and whose parent has not asked how."""
    with subprocess.Popen(["true"], cwd=folder) as child:
        while started_at(child.pid) is not None:
            time.sleep(0.01)
        yield child.pid


@contextmanager
def elsewhere(_folder: Path) -> Iterator[int]:
    """A process that has nothing to do with the cluster: this one."""
    yield os.getpid()


@pytest.mark.parametrize(
    ("process", "stays"), [(sleeping, True), (gone, True), (not_collected, False), (elsewhere, False)]
)
def test_a_lock_stays_unless_its_process_is_another(
    tmp_path: Path, process: Callable[[Path], AbstractContextManager[int]], stays: bool
) -> None:
    postgres = Postgres(
        Program(Path("/nowhere"), Path("/")), tmp_path, tmp_path / "log", None, port=1, password=""
    )
    cluster = tmp_path / "cluster"
    cluster.mkdir()
    (cluster / "PG_VERSION").write_text("15\n")
    lock = cluster / "postmaster.pid"

    with process(cluster) as pid:
        lock.write_text(f"{pid}\n{cluster}\n1790000000\n1\n\n127.0.0.1\n")
        postgres.prepare()

    assert lock.exists() is stays
