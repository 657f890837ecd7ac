"""A process is unready only when it cannot work at all; a probe never waits long."""

import time
from pathlib import Path

from shared_http.health import Check, Readiness, broker_check, redis_check


def well() -> None:
    """Find nothing wrong."""


def ill() -> None:
    raise ConnectionError("refused\nand more")


def hung() -> None:
    time.sleep(5)


def test_all_well_is_ready() -> None:
    assert Readiness([Check("database", well, required=True), Check("redis", well)]).report() == (
        200,
        {"status": "ready"},
    )


def test_what_it_can_do_without_is_listed_and_ready() -> None:
    status, body = Readiness([Check("database", well, required=True), Check("redis", ill)]).report()

    assert (status, body["status"]) == (200, "degraded")
    assert body["degraded"] == {"redis": "ConnectionError: refused"}


def test_what_it_cannot_do_without_makes_it_unready() -> None:
    status, body = Readiness([Check("database", ill, required=True)]).report()

    assert (status, body["status"]) == (503, "unavailable")


def test_what_is_told_to_leave_says_so_until_the_mark_is_gone(tmp_path: Path) -> None:
    mark = tmp_path / "leaving"
    readiness = Readiness([Check("database", well, required=True)], mark)

    before = readiness.report()
    mark.touch()
    told = readiness.report()
    mark.unlink()

    assert told == (503, {"status": "leaving"})
    assert before == readiness.report() == (200, {"status": "ready"})


def test_a_check_that_hangs_is_bounded_and_not_started_twice() -> None:
    runs = []

    def counted() -> None:
        runs.append(1)
        hung()

    readiness = Readiness([Check("redis", counted)])
    started = time.monotonic()
    reports = [readiness.report() for _ in range(2)]

    assert time.monotonic() - started < 3
    assert reports[0] == (200, {"status": "degraded", "degraded": {"redis": "no answer within 1 s"}})
    assert len(runs) == 1


def test_absent_servers_are_reported_as_such() -> None:
    checks = [redis_check("redis://127.0.0.1:1/0"), broker_check("amqp://u:p@127.0.0.1:1/v")]

    _, body = Readiness(checks).report()

    degraded = body["degraded"]
    assert isinstance(degraded, dict)
    assert set(degraded) == {"redis", "rabbitmq"}
