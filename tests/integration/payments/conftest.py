"""A real provider simulator in its own process, for the tests of Payments."""

from collections.abc import Iterator

import pytest
from simulator_process import SimulatorProcess

from payments_svc.simulator_provider import SimulatorProvider


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """The simulator, running at the start of each test that leaves it so."""
    process = SimulatorProcess(tmp_path_factory.mktemp("simulator") / "books.db")
    process.start()
    yield process
    process.stop()


@pytest.fixture
def provider(simulator: SimulatorProcess) -> SimulatorProvider:
    """A client with a short time-out, so that lost answers cost little time."""
    return SimulatorProvider(simulator.url, timeout_s=0.3)
