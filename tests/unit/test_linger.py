"""How long messages gather: by how many came together, and by how long their orders are under way."""

import time
from uuid import UUID

import pytest

from shared_events import linger
from shared_events.linger import LONGEST_S, SHORT_S


def journeys(count: int, age_s: float = 0.0) -> list[str]:
    """Return the ids of so many journeys that began so long ago."""
    began_ms = int((time.time() - age_s) * 1000)
    return [str(UUID(int=began_ms << 80 | 7 << 76 | 2 << 62 | number)) for number in range(count)]


def test_what_comes_alone_waits_for_nobody_even_if_it_is_late() -> None:
    assert linger.after([]) == 0
    assert linger.after(journeys(1, 3600)) == 0


def test_an_order_that_comes_with_several_messages_came_alone() -> None:
    assert linger.after(journeys(1) * 4) == 0
    assert linger.after(journeys(3) * 4) == linger.after(journeys(3)) > 0


def test_the_more_came_together_the_longer_but_not_so_long_that_a_young_order_minds() -> None:
    waits = [linger.after(journeys(count)) for count in (2, 3, 5, 50)]

    assert waits == sorted(waits)
    assert 0 < waits[0] < waits[1] < waits[2] < waits[3] == SHORT_S


@pytest.mark.parametrize("count", [2, 50])
def test_orders_that_are_late_anyway_gather_longer_up_to_an_end_however_few_they_are(count: int) -> None:
    waits = [linger.after(journeys(count, age_s)) for age_s in (0.1, 1, 2, 60, 86_400)]

    assert waits[0] <= SHORT_S < waits[1] < waits[2] < waits[3] == waits[4] == LONGEST_S


@pytest.mark.parametrize("strange", [0, 2**128 - 100])
def test_whatever_journeys_are_called_the_wait_has_its_bounds(strange: int) -> None:
    assert SHORT_S <= linger.after([str(UUID(int=strange + number)) for number in range(50)]) <= LONGEST_S
