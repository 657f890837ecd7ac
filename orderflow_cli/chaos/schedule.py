"""What happens when: a pure function of the seed, so that a run can be had again."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from orderflow_cli.chaos.kinds import KINDS, Kind

EVERY_S = 8.0
"""There is about one fault in so many seconds; those that last overlap."""
_FIRST_S = 2.0
_JITTER = 0.8
_PACE_S, _LEAST_S = 0.06, 30.0


@dataclass(frozen=True)
class Fault:
    """One fault: `at` seconds after the load begins, on `target`, for `lasts_s`."""

    number: int
    kind: str
    at: float
    target: str
    lasts_s: float = 0.0
    amount: float = 0.0


def enough_s(kinds: Sequence[str]) -> float:
    """Return how long a run must be for each kind to come once."""
    return _FIRST_S + EVERY_S * len(kinds)


def usual_s(kinds: Sequence[str], orders: int) -> float:
    """Return how long a run is unless said otherwise: enough for its kinds, and for its orders. One kind may repeat."""
    least_s = max(_LEAST_S, _PACE_S * orders)
    return max(least_s, enough_s(kinds)) if len(kinds) > 1 else least_s


def no_time(kinds: Sequence[str], faults: Sequence[Fault]) -> dict[str, str]:
    """Return the kinds that a schedule does not reach, and what would."""
    reached = {fault.kind for fault in faults}
    why = f"no time: --seconds {ceil(enough_s(kinds))} reaches all"
    return {kind: why for kind in kinds if kind not in reached}


def schedule(seed: int, kinds: Sequence[str], seconds: float) -> tuple[Fault, ...]:
    """Return the faults of a run, in order. Every kind comes once before any comes again, if there is time."""
    chosen = [KINDS[name] for name in kinds]
    draw = random.Random(f"{seed} {' '.join(kinds)}")  # noqa: S311  no secret
    if len(chosen) == 1 and chosen[0].spans:
        return (Fault(1, chosen[0].name, 0.0, chosen[0].targets[0], seconds),)
    slots = max(1, int((seconds - _FIRST_S) / EVERY_S))
    faults: list[Fault] = []
    free_at = dict.fromkeys(kinds, 0.0)
    waiting: list[Kind] = []
    for slot in range(slots):
        at = round(_FIRST_S + EVERY_S * (slot + _JITTER * draw.random()), 1)
        if not waiting:
            waiting = draw.sample(chosen, len(chosen))
        kind = next((each for each in waiting if free_at[each.name] <= at), None)
        if kind is None:
            continue
        waiting.remove(kind)
        fault = _fault(draw, len(faults) + 1, kind, at)
        faults.append(fault)
        free_at[kind.name] = at + fault.lasts_s + kind.rest_s
    return tuple(faults)


def _fault(draw: random.Random, number: int, kind: Kind, at: float) -> Fault:
    lasts_s = round(draw.uniform(*kind.lasts_s), 1)
    return Fault(number, kind.name, at, draw.choice(kind.targets), lasts_s, draw.choice(kind.amounts))
