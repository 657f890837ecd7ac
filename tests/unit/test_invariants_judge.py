"""When a difference is broken and when it is settling, by a clock that the test moves."""

from collections.abc import Iterable, Iterator
from uuid import uuid4

from orderflow_cli.invariants import INVARIANTS
from orderflow_cli.invariants.judge import Patience, Report, judge
from orderflow_cli.invariants.rules import GROUPS, Finding, Invariant

STRICT = Invariant("strict", "stock", ("inventory",), True, "", lambda _: ())
LOOSE = Invariant("loose", "orders", ("inventory", "orders"), False, "", lambda _: ())
ORDER = uuid4()


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> float:
        return self.now


def judged(
    readings: Iterable[list[tuple[Invariant, Finding]]], patience: Patience | None = None
) -> tuple[Report, float]:
    """Judge by these readings, one after another, the last again and again; return the report and how long it took."""
    time, rest = Time(), iter(_for_ever(list(readings)))
    report = judge(lambda: next(rest), [STRICT, LOOSE], patience, sleep=time.sleep, clock=time.clock)
    return report, time.now - 100.0


def _for_ever(readings: list[list[tuple[Invariant, Finding]]]) -> Iterator[list[tuple[Invariant, Finding]]]:
    yield from readings
    while True:
        yield readings[-1]


def differs(wrong: str = "differs", waits_for: str = "") -> list[tuple[Invariant, Finding]]:
    return [(LOOSE, Finding("order", wrong, ORDER, waits_for))]


def test_nothing_found_is_told_at_once() -> None:
    report, took = judged([[]])

    assert report.invariants == {"strict": True, "loose": True}
    assert (report.broken, report.settling, took) == ([], [], 0.0)


def test_what_is_strict_is_broken_even_if_it_is_gone_at_the_second_look() -> None:
    report, _ = judged([[(STRICT, Finding("LAMP", "oversold")), *differs()], []])

    assert report.invariants == {"strict": False, "loose": True}


def test_a_difference_that_is_gone_at_the_second_look_never_was() -> None:
    report, took = judged([differs(), []])

    assert report.invariants["loose"]
    assert not report.settling
    assert took == 1.0


def test_a_difference_that_lasts_is_broken_after_the_window() -> None:
    report, took = judged([differs()], Patience(window_s=10.0))

    assert not report.invariants["loose"]
    assert took == 10.0


def test_a_short_deadline_makes_a_short_window() -> None:
    report, took = judged([differs()], Patience(window_s=2.5))

    assert not report.invariants["loose"]
    assert took == 2.5


def test_a_difference_that_changes_is_settling() -> None:
    report, _ = judged([differs("first"), differs("then"), differs("first")])

    assert report.invariants["loose"]
    assert len(report.settling) == 1


def test_what_waits_for_something_is_settling_and_costs_no_time() -> None:
    report, took = judged([differs(waits_for="stock")])

    assert report.invariants["loose"]
    assert [each.waits_for for each in report.settling] == ["stock"]
    assert took == 0.0


def test_settle_waits_until_nothing_is_settling_and_no_longer() -> None:
    report, took = judged([differs(waits_for="stock")] * 4 + [[]], Patience(settle_s=60.0))

    assert not report.settling
    assert took == 4.0


def test_settle_ends_at_last() -> None:
    report, took = judged([differs(waits_for="stock")], Patience(settle_s=5.0))

    assert len(report.settling) == 1
    assert took == 5.0


def test_every_invariant_has_a_name_of_its_own_a_group_and_a_sentence() -> None:
    assert len({each.name for each in INVARIANTS}) == len(INVARIANTS)
    assert {each.group for each in INVARIANTS} == set(GROUPS)
    assert all(each.promise.endswith(".") for each in INVARIANTS)
