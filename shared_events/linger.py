"""How long a relay waits for more before it publishes: not at all while messages come one by one.

One transaction for many messages costs little more than for one, so under load it pays to wait; while there is
little to do it would only make people wait. What came together the last time tells which it is, and how long its
orders have been under way tells how long nobody minds. Workers wait a moment at most: what a relay publishes
together comes to them together.
"""

import time
from uuid import UUID

SHORT_S = 0.05
LONGEST_S = 0.2
_FOR_EACH_S = 0.008
_OF_THE_AGE = 0.05


def after(count: int, journey: UUID) -> float:
    """Return for how many seconds to gather the next messages, when so many came the last time.

    Longer than SHORT_S only where orders take long anyway, by a twentieth of the time for which one of them, a
    message's correlation id, is under way: when there is more to do than can be done, batches get full.
    """
    if count < 2:
        return 0.0
    bearable_s = min(LONGEST_S, max(SHORT_S, _OF_THE_AGE * _age_s(journey)))
    return min(bearable_s, _FOR_EACH_S * (count - 1))


def _age_s(journey: UUID) -> float:
    """Return how old a version-7 UUID is (RFC 9562, 5.7: it begins with its milliseconds since 1970)."""
    return time.time() - (journey.int >> 80) / 1000
