"""The sections that are ours alone: one hot product, latency, intake at a pace, backlog, quotas, and a long past."""

import time
from collections.abc import Mapping, Sequence

from bench import figures
from bench.accounting import kinds_of, processes
from bench.course import Course, saga_figures
from bench.finished import copy_finished
from bench.place import CORES
from bench.quota import NoQuota, quota
from bench.rounds import WORKING
from bench.turns import Turn, closed, insist, opened

QUOTAS = (0.5, 1, 2)
_PART = 0.7
"""Of the maximum: busy, and not at the end of its strength."""
_FEWEST = 100


def hot(its: Course) -> None:
    """Measure the rate with one SKU in every order, against turns without.

    They alternate, and there are many: two turns differ by more than what is looked for, for autovacuum comes once a
    minute, and machines and full databases grow slower.
    """
    its.warm()
    turns = []
    for number in range(2 * its.size.hot_turns + 1):
        section = "hot" if number % 2 else "spread"
        turns.append(its.saga(section, orders=its.size.hot_orders, hot=section == "hot"))
        its.note(section, turns[-1])
    its.document["hot"] = saga_figures(turns[1::2])
    its.document["ratios"]["hot_vs_spread"] = figures.to_neighbours([turn.finished_per_s for turn in turns])
    its.check()


def latency(its: Course) -> None:
    """Measure the time from 202 to confirmed, and that of the 202 itself, at low load and at 70 % of the maximum."""
    its.warm()
    confirmed, answered = {}, {}
    paces = {"low": (its.size.low_rate, its.size.low_s), "at_70": (_PART * its.steady, its.size.high_s)}
    for name, (rate, seconds) in paces.items():
        turn = insist(opened(its.ours, its.run_name(name), rate, seconds))
        its.note(name, turn)
        confirmed[name] = figures.shown(turn.confirmed_ms)
        answered[name] = figures.shown(turn.intake_ms)
    its.document |= {"confirmed_ms": confirmed, "intake_during_saga_ms": answered}
    its.check()


def intake(its: Course) -> None:
    """Measure the time of a 202 while nothing else works, at low load and at 70 % of what the door can take."""
    its.place.stop(*its.place.names(*WORKING))
    answered = {}
    most = _PART * float(its.document["intake_per_s"])
    paces = {"low": (its.size.low_rate, its.size.low_s / 2), "at_70": (most, its.size.high_s / 2)}
    with its.place.doors(CORES):
        closed(its.ours, its.run_name("warm"), its.size.warm, drained=False)
        for name, (rate, seconds) in paces.items():
            turn = opened(its.ours, its.run_name(f"intake-{name}"), rate, seconds, drained=False)
            its.note(f"intake, {name}", turn)
            answered[name] = figures.shown(turn.intake_ms)
    its.document["intake_ms"] = answered
    _resume(its)
    its.check()


def backlog(its: Course) -> None:
    """Have orders accepted while the workers are away; measure how fast they are worked off, and a turn after it."""
    its.place.stop(*its.place.names(*WORKING))
    turn = closed(its.ours, its.run_name("backlog"), its.size.backlog, drained=False)
    its.note("backlog", turn)
    drained = _resume(its)
    its.document["drain_per_s"] = drained
    its.say(f"backlog drained at {drained} orders/s")
    after = _noted(its, "after the backlog")
    its.document["ratios"]["drain_vs_steady"] = figures.ratio(drained, after.finished_per_s)
    its.check()


def _resume(its: Course) -> float:
    """Start the workers again; return the orders a second from when all are ready to the last one's end.

    Until Orders' relay runs, which comes last, there is nothing to do: none has a start before the clock's.
    """
    names = its.place.names(*WORKING)
    its.place.start(*(name for name in names if name not in gates(names)))
    its.place.start(*gates(names))
    began, left = time.monotonic(), its.ours.unfinished()
    its.drain()
    return round(left / (time.monotonic() - began), 1)


def gates(names: list[str]) -> list[str]:
    """Return the processes through which an accepted order's first messages leave."""
    return [name for name in names if name.startswith("orders-relay")]


def quotas(its: Course) -> None:
    """Measure the rate with half a core, one and two for the whole stack; the world outside is not limited.

    Several times, since housekeeping of a second weighs much in a turn with half a core.
    """
    rates: dict[float, list[float]] = {cores: [] for cores in QUOTAS}
    try:
        for _ in range(its.size.quota_rounds):
            for cores, found in rates.items():
                found.append(_limited_to(cores, its).finished_per_s)
    except NoQuota as error:
        its.say(f"no quotas: {error}")
        its.document["quotas"] = {"left_out": str(error)}
        return
    its.document["quotas"] = {f"{cores:g}": round(figures.median(found), 1) for cores, found in rates.items()}
    its.document["ratios"] |= {
        "quota_half_vs_one": _of_one_core(rates, 0.5),
        "quota_two_vs_one": _of_one_core(rates, 2),
    }
    its.check()


def _limited_to(cores: float, its: Course) -> Turn:
    """Have a turn with so many cores."""
    with quota(cores, _limited(its)):
        its.warm(max(_FEWEST, int(its.size.warm * cores)))
        turn = its.saga(f"quota-{cores:g}", orders=max(_FEWEST, int(its.size.quota_orders * cores)))
    its.note(f"quota of {cores:g}", turn)
    return turn


def _of_one_core(rates: Mapping[float, Sequence[float]], cores: float) -> float:
    """Return the median, over the rounds, of the rate per core by that of one core."""
    rounds = zip(rates[cores], rates[1], strict=True)
    return round(figures.median([rate / cores / one for rate, one in rounds]), 3)


def _limited(its: Course) -> list[int]:
    """Return the processes of the stack, the supervisor's and all children's too, but not the provider."""
    kinds = kinds_of(processes(), its.place.roots())
    return [pid for pid, kind in kinds.items() if kind not in its.ours.apart]


def million(its: Course) -> None:
    """Measure the rate before and after the databases hold a long past."""
    its.warm()
    fresh = [_noted(its, "before a long past") for _ in range(its.size.rounds)]
    its.say(f"making {its.size.finished} finished orders")
    copy_finished(its.place, its.size.finished)
    its.warm()
    aged = [_noted(its, "with a long past") for _ in range(its.size.rounds)]
    rates = [figures.median([turn.finished_per_s for turn in turns]) for turns in (fresh, aged)]
    its.document["long_past"] = {
        "orders": its.size.finished,
        "before_per_s": round(rates[0], 1),
        "after_per_s": round(rates[1], 1),
    }
    its.document["ratios"]["million_vs_fresh"] = figures.ratio(rates[1], rates[0])
    its.check()


def _noted(its: Course, section: str) -> Turn:
    turn = its.saga()
    its.note(section, turn)
    return turn
