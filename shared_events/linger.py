"""How long a relay waits for more before it publishes: not at all while orders come one by one.

One transaction for many messages costs little more than for one, so under load it pays to wait; while there is
little to do it would only make people wait. How many orders came together the last time tells which it is, and how
long they have been under way tells how long nobody minds. Workers wait a moment at most: what a relay publishes
together comes to them together.
"""

import time
from collections.abc import Sequence
from uuid import UUID

SHORT_S = 0.05
LONGEST_S = 0.4
_FOR_EACH_S = 0.004
_LATE_S = 0.5
_OF_THE_DELAY = 0.2


def after(journeys: Sequence[str]) -> float:
    """Return for how many seconds to gather the next messages, given the correlation ids of those of the last turn.

    Up to SHORT_S by how many are different. Where one of them is under way for longer than an order takes that has
    nothing to wait for, a fifth of that delay, up to LONGEST_S: when there is more to do than can be done, batches get
    full, and all are done sooner.
    """
    different = list(dict.fromkeys(journeys))
    if len(different) < 2:
        return 0.0
    delay_s = _age_s(UUID(different[len(different) // 2])) - _LATE_S
    return max(min(SHORT_S, _FOR_EACH_S * (len(different) - 1)), min(LONGEST_S, _OF_THE_DELAY * delay_s))


def _age_s(journey: UUID) -> float:
    """Return how old a version-7 UUID is (RFC 9562, 5.7: it begins with its milliseconds since 1970)."""
    return time.time() - (journey.int >> 80) / 1000
