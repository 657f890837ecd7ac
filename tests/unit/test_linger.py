"""How long messages gather: by how many came together, and by how long their orders are under way."""

import time
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from shared_events import linger
from shared_events.linger import LONGEST_S, SHORT_S


def journey(age_s: float) -> UUID:
    """Return the id of a journey that began so long ago."""
    began_ms = int((time.time() - age_s) * 1000)
    return UUID(int=began_ms << 80 | 7 << 76 | 2 << 62)


def test_what_comes_alone_waits_for_nobody() -> None:
    assert linger.after(1, journey(3600)) == 0


def test_the_more_came_together_the_longer_but_not_so_long_that_a_young_order_minds() -> None:
    young = uuid7()

    waits = [linger.after(count, young) for count in (2, 3, 5, 50)]

    assert waits == sorted(waits)
    assert 0 < waits[0] < waits[1] < waits[2] < waits[3] == SHORT_S


@pytest.mark.parametrize("count", [2, 50])
def test_orders_that_are_late_anyway_gather_longer_up_to_an_end_however_few_they_are(count: int) -> None:
    waits = [linger.after(count, journey(age_s)) for age_s in (0.1, 1, 2, 60, 86_400)]

    assert waits[0] <= SHORT_S < waits[1] < waits[2] < waits[3] == waits[4] == LONGEST_S


@pytest.mark.parametrize("journey", [UUID(int=0), UUID(int=2**128 - 1)])
def test_whatever_a_journey_is_called_the_wait_has_its_bounds(journey: UUID) -> None:
    assert SHORT_S <= linger.after(50, journey) <= LONGEST_S
