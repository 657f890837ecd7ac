"""A log line says when, where and about what."""

import json
import logging
from collections.abc import Iterator
from uuid import UUID

import pytest

from shared_events import logs, trace
from shared_events.environment import BadSetting


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Put the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_one_json_object_with_its_context(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("orders-worker")
    traceparent = trace.new()

    with logs.context(order_id=7, causation_id=None), trace.following(traceparent):
        logging.getLogger("a.b").info("hello %s", "world")
    logging.getLogger("a.b").info("bye")

    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "INFO",
        "logger": "a.b",
        "process": "orders-worker",
        "message": "hello world",
        "order_id": "7",
        "trace_id": trace.trace_id(traceparent),
    }
    assert "order_id" not in second


def test_each_of_many_has_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for style in ("json", "console"):
        monkeypatch.setenv("ORDERFLOW_LOG_FORMAT", style)
        logs.configure("orders-worker")
        with logs.context(batch=7):
            logs.each(logging.getLogger("a.b"), "handled", [{"order_id": UUID(int=n)} for n in (1, 2)])
        logs.each(logging.getLogger("a.b"), "handled", [])

    *of_json, third, fourth = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["order_id"] for line in of_json] == [str(UUID(int=1)), str(UUID(int=2))]
    first = json.loads(of_json[0])
    assert (first["level"], first["logger"], first["process"], first["batch"]) == (
        "INFO",
        "a.b",
        "orders-worker",
        "7",
    )
    assert third.endswith(f"INFO    a.b: handled  batch=7 order_id={UUID(int=1)}")
    assert fourth.endswith(f"INFO    a.b: handled  batch=7 order_id={UUID(int=2)}")


def test_people_may_have_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERFLOW_LOG_FORMAT", "console")
    logs.configure("x")

    with logs.context(order_id=7):
        logging.getLogger("a").warning("careful")

    assert capsys.readouterr().err.endswith("WARNING a: careful  order_id=7\n")


def test_the_process_is_named_by_its_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERFLOW_PROCESS_NAME", "orders-worker-2")
    logs.configure("orders-worker")

    logging.getLogger("a").info("x")

    assert json.loads(capsys.readouterr().err)["process"] == "orders-worker-2"


def test_a_wrong_level_is_a_bad_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERFLOW_LOG_LEVEL", "LOUD")

    with pytest.raises(BadSetting, match="ORDERFLOW_LOG_LEVEL"):
        logs.configure("x")


def test_a_trace_is_continued_or_begun() -> None:
    given = trace.new()

    assert trace.trace_id(trace.accept(given)) == trace.trace_id(given)
    assert trace.accept(given) != given
    assert trace.trace_id(trace.accept("nonsense")) != trace.trace_id(given)
    assert trace.current() is None
