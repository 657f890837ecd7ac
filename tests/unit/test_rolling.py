"""What is restarted while something else happens to it ends up in one piece, and whoever asked is answered."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local_stack import blueprint, control, ports, stack
from local_stack.access import Access, new_passwords
from local_stack.blueprint import Blueprint
from local_stack.errors import StackError
from local_stack.process import Process
from local_stack.stack import Stack
from local_stack.state import State
from local_stack.unit import Unit

NAME, SPARE = "orders-api", "orders-api-spare"


class Sleepers(Blueprint):
    """Makes processes that do nothing, at once ready, on the ports that the real ones would have."""

    def unit(self, name: str) -> Unit:
        process = Process(
            name=name, argv=["sleep", "60"], environment={}, log=self.data / "log", directory=self.data
        )
        address = f"127.0.0.1:{self.state.port_of(name)}"

        def launch() -> None:
            blueprint.leaving_mark(self.data, unit.port).unlink(missing_ok=True)
            process.spawn()

        unit = Unit(name, "api", address, process, launch, lambda: "ready")
        return unit


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """A stack of one sleeping API, and its supervisor at work."""
    monkeypatch.setattr(stack, "_SEEN_S", 0.3)
    state = State()
    state.addresses(NAME)
    made, over = Stack(tmp_path, state, seeded=False), threading.Event()
    made._blueprint = Sleepers(tmp_path, state, Access("", "", "", "", new_passwords()))

    def work() -> None:
        while not over.wait(0.02):
            made.supervisor._tick()

    thread = threading.Thread(target=work)
    thread.start()
    made.supervisor.add(made.blueprint.unit(NAME))
    made.supervisor.await_ready([NAME], 10)
    yield made
    over.set()
    thread.join()
    for unit in [*made.supervisor.units.values(), *made.supervisor._beside]:
        unit.process.kill()


def test_two_restarts_at_once_go_one_after_the_other(made: Stack) -> None:
    first = made.supervisor.units[NAME]

    with ThreadPoolExecutor() as threads:
        list(threads.map(made.restart, [NAME, NAME]))
    made.supervisor.await_left(NAME)

    last = made.supervisor.units[NAME]
    assert last is not first
    assert (last.port, last.wanted) == (first.port, True)
    assert last.port == made.state.port_of(NAME)
    assert not first.process.alive()
    assert [each.name for each in (made.data / "leaving").iterdir()] == [str(made.state.port_of(SPARE))]


def test_one_that_is_removed_while_it_is_restarted_stays_removed(made: Stack) -> None:
    first = made.supervisor.units[NAME]
    with ThreadPoolExecutor() as threads:
        restarted = threads.submit(made.restart, NAME)
        while not made.supervisor._beside:
            assert not restarted.done()
            time.sleep(0.01)
        made.supervisor.remove([NAME])
        with pytest.raises(StackError, match="orders-api was removed while its successor started"):
            restarted.result()
    made.supervisor.await_left(NAME)

    assert made.supervisor.units.get(NAME) in {None, first}
    assert made.state.port_of(NAME) == first.port
    with pytest.raises(StackError, match="there is no orders-api"):
        made.restart(NAME)


def test_one_whose_second_port_somebody_else_has_is_restarted_where_it_is(made: Stack) -> None:
    [old] = made.supervisor.units.values()
    before = old.process.pid
    with socket.create_server(("127.0.0.1", made.state.port_of(SPARE))):
        made.restart(NAME)
        while old.process.pid in {before, None}:
            time.sleep(0.02)

    assert made.supervisor.units[NAME] is old
    assert "somebody else has its second port" in made.supervisor.said[-1]
    assert ports.is_free(made.state.port_of(SPARE))
    assert not blueprint.leaving_mark(made.data, old.port).exists()


def test_whoever_asks_for_what_fails_is_told_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def answer(request: dict[str, Any]) -> dict[str, Any]:
        return {"said": {"known": "yes"}[request["name"]]}

    listener = control.Listener(tmp_path, answer)
    try:
        assert control.ask(tmp_path, "say", name="known") == {"said": "yes"}
        with pytest.raises(StackError, match="the stack failed at this: KeyError\\('gone'\\)"):
            control.ask(tmp_path, "say", name="gone")
        assert "Traceback" in capfd.readouterr().err
        assert control.ask(tmp_path, "say", name="known") == {"said": "yes"}
    finally:
        listener.close()


def test_whoever_gets_no_answer_in_time_is_not_told_that_nothing_runs(tmp_path: Path) -> None:
    over = threading.Event()
    listener = control.Listener(tmp_path, lambda _: {"over": over.wait(10)})
    try:
        with pytest.raises(StackError, match=r"has not answered for 0\.2 s"):
            control.ask(tmp_path, "wait", within_s=0.2)
    finally:
        over.set()
        listener.close()
