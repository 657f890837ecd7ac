"""One probe for each module: a worker and a relay on Inventory's queue, with limits and tiers of a second."""

from collections.abc import Iterator
from typing import Any

import pytest
from probe import Probe


@pytest.fixture(scope="module")
def idle_probe(servers: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """The probe without any process of its own yet."""
    made = Probe(
        servers,
        tmp_path_factory.mktemp("probe"),
        ORDERFLOW_SOFT_LIMIT_S="1",
        ORDERFLOW_HARD_LIMIT_S="2",
    )
    yield made
    made.stop()


@pytest.fixture(scope="module")
def probe(idle_probe: Probe) -> Probe:
    """The probe with a worker and a relay."""
    idle_probe.relay()
    idle_probe.worker()
    return idle_probe
