"""A database that is frozen, with its connections up, is away like any other: work waits, and nothing is blamed."""

from collections.abc import Iterator
from typing import Any

import pytest
from probe import Probe, eventually, order_of

from shared_events import database


@pytest.fixture
def patient(servers: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """A worker and a relay with the usual time limits."""
    made = Probe(servers, tmp_path_factory.mktemp("patient"))
    made.relay()
    made.worker()
    yield made
    made.stop()


def test_work_waits_for_a_frozen_database_and_is_done_once_after_it(patient: Probe) -> None:
    warm, late = order_of("good"), [order_of("good") for _ in range(20)]
    patient.send(warm)
    eventually(lambda: patient.effects(warm) == 1)
    log = patient.home / "worker.log"

    patient.servers.servers.postgres.pause()
    try:
        patient.send(*late)
        said = ("messages wait for the database", f"no answer within {database.ANSWER_WITHIN_S:g} s")
        eventually(lambda: all(each in log.read_text() for each in said), within_s=40)
    finally:
        patient.servers.servers.postgres.resume()
        patient.engine.dispose()

    eventually(lambda: patient.all_effects() == (21, 21), within_s=30)
    assert patient.scalar("SELECT count(*) FROM inbox WHERE attempts > 1") == 0
    assert patient.scalar("SELECT count(*) FROM dead_letters") == 0
