"""How long to wait for more before the next batch: not at all while messages come one by one.

One transaction for many messages costs little more than for one, so under load it pays to wait; while there is
little to do it would only make people wait. What came together the last time tells which it is.
"""

LONGEST_S = 0.025
_FOR_EACH_S = 0.002


def after(count: int) -> float:
    """Return for how many seconds to gather the next batch, when the last one was of so many."""
    return min(LONGEST_S, _FOR_EACH_S * max(0, count - 1))
