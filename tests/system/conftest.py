"""A whole running stack for the system tests: started once per run, ended at its end."""

from collections.abc import Iterator

import pytest
from running_stack import RunningStack, stack_in_a_directory


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """A seeded stack. Leave it as you found it: everything started, scaled to one."""
    with stack_in_a_directory("orderflow-system-") as running:
        running.up()
        yield running
