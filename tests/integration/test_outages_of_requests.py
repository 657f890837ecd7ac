"""Whatever is away, frozen or silent behind an API: each request ends in its time, and an order is accepted."""

from collections.abc import Iterator
from typing import Any

import pytest
from outages import ROWS, Bench, Row, measure, stock

SLACK = 2.0
"""Tests share their machine; a request that hangs takes much longer than twice its bound."""


@pytest.fixture(scope="module")
def bench(servers: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    stock(servers.access)
    made = Bench(servers.servers, servers.access, tmp_path_factory.mktemp("outages"))
    yield made
    made.close()


@pytest.mark.parametrize("row", [row for row in ROWS if not row.slow_to_restore], ids=lambda row: row.name)
def test_a_request_ends_in_time_whatever_is_away(bench: Bench, row: Row) -> None:
    (answer,), ready = measure(bench, row, times=1)

    assert answer.status == row.status
    assert answer.seconds < SLACK * row.within_s
    assert (ready.status, ready.seconds < SLACK * 1.0) == (row.ready, True)
