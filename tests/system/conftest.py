"""A whole running stack for the system tests: started once per run, ended at its end."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_stack import RunningStack


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """A seeded stack. Leave it as you found it: everything started, scaled to one."""
    data = Path(tempfile.mkdtemp(prefix="orderflow-system-"))
    data.chmod(0o711)  # the servers' account must be able to walk in
    running = RunningStack(data)
    try:
        running.up()
        yield running
    finally:
        running.down()
        shutil.rmtree(data, ignore_errors=True)
