"""A process is replaced by one that runs beside it, and stays where it is if that one never gets ready."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_stack.errors import StackError
from local_stack.process import Process
from local_stack.supervisor import Supervisor
from local_stack.unit import Unit

LONG = ["sleep", "60"]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """A supervisor at work; whatever it started is ended."""
    made, over = Supervisor(tmp_path, lambda _: None), threading.Event()

    def work() -> None:
        while not over.wait(0.02):
            made._tick()

    thread = threading.Thread(target=work)
    thread.start()
    yield made
    over.set()
    thread.join()
    for unit in [*made.units.values(), *made._beside]:
        unit.process.kill()


def unit(folder: Path, argv: list[str], *, ready: bool = True) -> Unit:
    """Return the unit `api`, which runs this."""
    process = Process(name="api", argv=argv, environment={}, log=folder / "api.log", directory=folder)
    return Unit("api", "api", "", process, process.spawn, lambda: "ready" if ready else None)


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.02)


def test_a_successor_takes_the_place_of_one_that_then_ends(supervisor: Supervisor, tmp_path: Path) -> None:
    old, new = unit(tmp_path, LONG), unit(tmp_path, LONG)
    supervisor.add(old)
    supervisor.await_ready(["api"], 10)
    old.restarts = 2

    supervisor.start_beside(new, 10)
    assert old.process.alive()
    supervisor.take_over(new, old)
    both = (old.process.alive(), new.process.alive())
    supervisor.retire(old)

    assert both == (True, True)
    assert supervisor.describe()["leaving"] == ["api"]
    eventually(lambda: supervisor.describe()["leaving"] == [])
    [shown] = supervisor.describe()["processes"]
    assert (shown["pid"], shown["state"], shown["restarts"]) == (new.process.pid, "ready", 2)
    assert not old.process.alive()


@pytest.mark.parametrize(
    ("argv", "trouble"), [(["false"], "does not start"), (LONG, "is not ready after 1 s")]
)
def test_a_successor_that_never_gets_ready_is_ended_and_the_old_one_goes_on(
    supervisor: Supervisor, tmp_path: Path, argv: list[str], trouble: str
) -> None:
    old, new = unit(tmp_path, LONG), unit(tmp_path, argv, ready=False)
    supervisor.add(old)
    supervisor.await_ready(["api"], 10)

    with pytest.raises(StackError, match=trouble):
        supervisor.start_beside(new, 1)

    eventually(lambda: supervisor.describe()["leaving"] == [])
    assert not new.process.alive()
    assert supervisor.describe()["processes"][0]["pid"] == old.process.pid


def test_a_process_that_was_stopped_meanwhile_stays_stopped(supervisor: Supervisor, tmp_path: Path) -> None:
    old, new = unit(tmp_path, LONG), unit(tmp_path, LONG)
    supervisor.add(old)
    supervisor.await_ready(["api"], 10)
    supervisor.start_beside(new, 10)

    supervisor.want(["api"], False)
    supervisor.take_over(new, old)
    supervisor.retire(old)

    eventually(lambda: not old.process.alive() and not new.process.alive())
    assert supervisor.describe()["processes"][0]["state"] == "stopped"


def test_a_process_that_was_removed_meanwhile_has_no_successor(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    old, new = unit(tmp_path, LONG), unit(tmp_path, LONG)
    supervisor.add(old)
    supervisor.await_ready(["api"], 10)
    supervisor.start_beside(new, 10)

    supervisor.remove(["api"])
    eventually(lambda: not supervisor.units)
    with pytest.raises(StackError, match="api was removed while its successor started"):
        supervisor.take_over(new, old)

    supervisor.await_left("api")
    assert not new.process.alive()


def test_whoever_waits_for_one_that_leaves_goes_on_when_it_has_ended(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    slow = ["sh", "-c", "trap 'sleep 1; exit' TERM; while :; do sleep 0.1; done"]
    old, new = unit(tmp_path, slow), unit(tmp_path, LONG)
    supervisor.add(old)
    supervisor.await_ready(["api"], 10)
    supervisor.start_beside(new, 10)
    supervisor.take_over(new, old)
    supervisor.retire(old)
    before = old.process.alive()

    supervisor.await_left("api")

    assert before
    assert not old.process.alive()
    assert new.process.alive()
