"""A breaker that was opened by a process whose clock was wrong does not stay open until the clocks agree."""

from contextlib import suppress

import time_machine

from payments_svc.breaker import Breaker


def opened(breaker: Breaker) -> None:
    with suppress(ZeroDivisionError):
        breaker.call(lambda: 1 // 0)
    assert breaker.state == "open"


def test_once_the_clock_is_right_a_call_may_close_it() -> None:
    breaker = Breaker(None, fail_max=1, reset_s=5)
    with time_machine.travel("2100-01-01", tick=True):
        opened(breaker)

    assert breaker.call(lambda: "made") == "made"
    assert breaker.state == "closed"


def test_a_process_that_is_behind_waits_no_day() -> None:
    breaker = Breaker(None, fail_max=1, reset_s=5)
    opened(breaker)

    with time_machine.travel("2000-01-01", tick=True):
        assert breaker.open_for_s <= 5
