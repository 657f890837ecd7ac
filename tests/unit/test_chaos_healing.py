"""What another fault is in the way of is tried again, and a fault that hit nothing is none."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from local_stack.errors import StackError
from orderflow_cli.chaos import course, server_faults
from orderflow_cli.chaos.insist import insist
from orderflow_cli.chaos.outsider import Outsider
from orderflow_cli.chaos.scene import Scene
from orderflow_cli.chaos.schedule import Fault
from orderflow_cli.client import Deployment
from orderflow_cli.errors import CommandError


def failing(errors: Sequence[Exception]) -> tuple[Callable[[], None], list[int]]:
    """Return what raises these, one after the other, and then succeeds; and the list of its calls."""
    calls: list[int] = []

    def act() -> None:
        calls.append(len(calls))
        if len(calls) <= len(errors):
            raise errors[len(calls) - 1]

    return act, calls


def test_what_heals_is_tried_again_and_its_last_failure_is_told() -> None:
    act, calls = failing([StackError("away"), httpx2.ConnectError("away"), OSError("away")])
    insist(act, pause_s=0.0)
    assert len(calls) == 4

    act, calls = failing([StackError("away")])
    with pytest.raises(StackError, match="away"):
        insist(act, within_s=-1.0)
    assert len(calls) == 1

    act, calls = failing([ValueError("a bug")])
    with pytest.raises(ValueError, match="a bug"):
        insist(act)
    assert len(calls) == 1


class Routes(Scene):
    """A scene whose fault proxy has so many connections on each route."""

    def __init__(self, connections: int) -> None:
        self.data = SimpleNamespace()  # type: ignore[assignment]
        self.connections = connections
        self.asked: list[str] = []

    def harm(self, route: str, harm: str, delay_s: float = 0.0) -> int:
        assert (route, delay_s) == ("orders-postgres", 0.0)
        self.asked.append(harm)
        return self.connections

    def await_ready(self, names: list[str]) -> None:
        pass


@pytest.mark.parametrize("kind", ["connections-cut", "black-hole", "half-open", "latency"])
def test_a_fault_of_the_network_must_find_a_connection(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local_stack.client.processes", lambda _: [])
    fault = Fault(1, kind, 0.0, "orders-postgres")
    begun = {"connections-cut": "cut"}.get(kind, kind)

    some = Routes(2)
    with server_faults.network(some, fault):
        assert some.asked == [begun]
    assert some.asked == [begun, "heal"]

    none = Routes(0)
    injection = server_faults.network(none, fault)
    if kind == "latency":
        injection.__enter__()
        injection.__exit__(None, None, None)
    else:
        with pytest.raises(CommandError, match="orders-postgres has no connection"):
            injection.__enter__()
    assert none.asked == [begun, "heal"]


class Gone(Outsider):
    """A user whose server does not answer for so many requests."""

    def __init__(self, failures: list[Exception]) -> None:
        self._is_made = True
        self._failures = failures

    def _ask(self, method: str, path: str, body: Any = None) -> None:
        assert (method, path, body) == ("DELETE", "/api/users/orderflow-chaos", None)
        if self._failures:
            raise self._failures.pop(0)


def refused(status: int) -> httpx2.HTTPStatusError:
    request = httpx2.Request("DELETE", "http://127.0.0.1:9/api/users/x")
    return httpx2.HTTPStatusError(
        "refused", request=request, response=httpx2.Response(status, request=request)
    )


def test_a_user_that_cannot_be_removed_is_told_and_costs_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    its = course.Chaos(Deployment.__new__(Deployment), None, "chaos-x", said.append)

    its._dismiss(Gone([refused(404)]))
    assert said == []

    monkeypatch.setattr(course, "_REMOVE_S", -1.0)
    its._dismiss(Gone([httpx2.ConnectError("the management page is away")]))
    assert "orderflow-chaos could not be removed from RabbitMQ: the management page is away" in said[0]
