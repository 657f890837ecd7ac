"""A real provider simulator in its own process, for the tests of Payments."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from payments_bench import Payments
from simulator_process import SimulatorProcess
from sqlalchemy import Engine, text
from uuid_utils.compat import uuid7

from payments_svc.simulator_provider import SimulatorProvider
from shared_events import database


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


@pytest.fixture(scope="session")
def engine(servers: Any) -> Iterator[Engine]:
    made = database.engine(servers.access.database_url("payments"), pool_size=5, process="test")
    yield made
    made.dispose()


@pytest.fixture
def payments(engine: Engine, provider: SimulatorProvider) -> Payments:
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE payments, intents, refunds, outbox, inbox"))
    return Payments(engine, provider)


@pytest.fixture
def order() -> UUID:
    return UUID(str(uuid7()))
