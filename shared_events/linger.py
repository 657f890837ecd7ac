"""How long to wait for more before the next batch: not at all while messages come one by one.

One transaction for many messages costs little more than for one, so under load it pays to wait; while there is
little to do it would only make people wait. What came together the last time tells which it is, and how long its
orders have been under way tells how long nobody minds.
"""

import time
from uuid import UUID

SHORT_S = 0.025
LONGEST_S = 0.1
_FOR_EACH_S = 0.004
_OF_THE_AGE = 0.025


def after(count: int, journey: UUID | str) -> float:
    """Return for how many seconds to gather the next batch, when the last one was of so many.

    Longer than SHORT_S only where orders take long anyway, by a twentieth of the time for which one of them, a
    message's correlation id, is under way: when there is more to do than can be done, batches get full.
    """
    if count < 2:
        return 0.0
    bearable_s = min(LONGEST_S, max(SHORT_S, _OF_THE_AGE * _age_s(journey)))
    return min(bearable_s, _FOR_EACH_S * (count - 1))


def _age_s(journey: UUID | str) -> float:
    """Return how old a version-7 UUID is (RFC 9562, 5.7: it begins with its milliseconds since 1970)."""
    try:
        began_ms = int(str(journey).replace("-", "")[:12], 16)
    except ValueError:  # anybody may write anything into a header
        return 0.0
    return time.time() - began_ms / 1000
