"""Plain figures: percentiles, medians and shares, each in one place."""

import math
import statistics
from collections.abc import Mapping, Sequence


def percentile(values: Sequence[float], per_cent: float) -> float:
    """Return the smallest value that so many per cent of all are not above (nearest rank)."""
    if not values:
        raise ValueError("no percentile of nothing")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(per_cent / 100 * len(ordered)) - 1)]


def shown(values: Sequence[float]) -> dict[str, float] | None:
    """Return p50 and p99 of times in ms; None if there are none."""
    if not values:
        return None
    return {name: round(percentile(values, int(name[1:])), 1) for name in ("p50", "p99")}


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def medians(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median of each column."""
    return {name: round(median([row[name] for row in rows]), 3) for name in rows[0]}


def ratio(one: float | None, other: float | None) -> float | None:
    """Return one by the other; None where either is missing or nothing."""
    return round(one / other, 3) if one and other else None


def to_neighbours(rates: Sequence[float]) -> float:
    """Return the median of every second rate by the mean of the two beside it: what drifts, drifts for all three."""
    threes = zip(rates[0::2], rates[1::2], rates[2::2], strict=False)
    return round(median([2 * rate / (before + after) for before, rate, after in threes]), 3)
