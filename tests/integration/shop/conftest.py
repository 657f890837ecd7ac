"""One small shop for all tests here: its processes take seconds to start."""

from collections.abc import Iterator
from typing import Any

import pytest
from small_shop import SmallShop


@pytest.fixture(scope="module")  # no longer: its relays would empty the outboxes of other tests
def running_shop(servers: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallShop]:
    made = SmallShop(servers, tmp_path_factory.mktemp("shop"))
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def shop(running_shop: SmallShop) -> SmallShop:
    """The shop with every process running."""
    dead = [name for name, process in running_shop.processes.items() if not process.alive()]
    if dead:
        running_shop.start(*dead)
    return running_shop
