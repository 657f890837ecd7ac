"""The local stack: it starts, mends itself, and leaves nothing behind."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running_stack import LAUNCHER, RunningStack, eventually, remains_of

SERVICES = ("orders", "inventory", "customers", "payments")
NAMES = {
    *(f"{service}-{kind}" for service in SERVICES for kind in ("api", "worker", "relay")),
    "payments-executor", "provider-simulator", "postgres", "redis", "rabbitmq", "flower", "gateway",
}  # fmt: skip


@pytest.fixture
def data() -> Iterator[Path]:
    """A directory for a second stack; whatever a test leaves there is ended."""
    folder = Path(tempfile.mkdtemp(prefix="orderflow-second-"))
    folder.chmod(0o711)
    yield folder
    RunningStack(folder).down()
    shutil.rmtree(folder, ignore_errors=True)


def orderflow(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(LAUNCHER), *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "arguments", [("--nope",), ("up", "--nope"), ("frobnicate",), ("stop",), ("scale", "x=2")]
)
def test_a_wrong_command_line_is_one_line_and_status_2(arguments: tuple[str, ...]) -> None:
    result = orderflow(*arguments)

    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1


def test_a_busy_port_is_one_line_and_status_1(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        result = orderflow("--data", str(data), "up", "--port", str(port))

    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert str(port) in result.stderr


def test_the_launcher_works_through_a_link_from_elsewhere(data: Path) -> None:
    link = data / "of"
    link.symlink_to(LAUNCHER)

    result = subprocess.run([str(link), "--version"], cwd="/", capture_output=True, text=True, check=False)

    assert result.returncode == 0
    assert "orderflow" in result.stdout


def test_commands_on_a_stack_that_does_not_run_say_so_in_one_line(data: Path) -> None:
    for verb in (["status"], ["stop", "orders"], ["token"]):
        result = orderflow("--data", str(data), *verb)

        assert result.returncode == 1
        assert len(result.stderr.splitlines()) == 1


def test_status_names_every_process_and_server(stack: RunningStack) -> None:
    status = stack.status()

    assert {each["name"] for each in status["processes"]} == NAMES
    assert {each["state"] for each in status["processes"]} == {"ready"}
    assert set(status["databases"]) == {"orders", "inventory", "customers", "payments"}
    assert {"orders", "inventory", "customers", "payments", "payments.calls"} <= {
        q["name"] for q in status["queues"]
    }


def test_a_killed_worker_is_restarted(stack: RunningStack) -> None:
    before = stack.process("inventory-worker")

    os.kill(before["pid"], signal.SIGKILL)

    assert eventually(lambda: stack.process("inventory-worker")["pid"] not in {None, before["pid"]})
    assert eventually(lambda: stack.process("inventory-worker")["state"] == "ready")
    assert stack.process("inventory-worker")["restarts"] == before["restarts"] + 1


def test_what_was_stopped_stays_stopped_until_it_is_started(stack: RunningStack) -> None:
    stack.run("stop", "customers")
    stopped = {each["name"] for each in stack.status()["processes"] if each["state"] == "stopped"}

    stack.run("start", "customers")

    assert stopped == {"customers-api", "customers-worker", "customers-relay"}
    assert {each["state"] for each in stack.status()["processes"]} == {"ready"}


def test_a_second_up_applies_its_scale_to_the_first(stack: RunningStack) -> None:
    stack.run("up", "--detach", "--scale", "orders-worker=2", "--scale", "orders-api=2")
    grown = {each["name"] for each in stack.status()["processes"]} - NAMES

    stack.run("scale", "orders-worker=1", "orders-api=1")

    assert grown == {"orders-worker-2", "orders-api-2"}
    assert eventually(lambda: {each["name"] for each in stack.status()["processes"]} == NAMES)


def test_a_second_stack_runs_beside_the_first_and_ctrl_c_ends_all_of_it(
    stack: RunningStack, data: Path
) -> None:
    command = [str(LAUNCHER), "--data", str(data), "up", "--port", "0", "--no-seed"]
    with _foreground(command) as up:
        assert up.stdout is not None
        printed = next(line for line in up.stdout if line.startswith("Orderflow"))
        beside = RunningStack(data)

        assert {each["name"] for each in beside.status()["processes"]} == NAMES
        assert printed.split()[1] != stack.url
        assert {each["state"] for each in stack.status()["processes"]} == {"ready"}

        up.send_signal(signal.SIGINT)
        up.wait(60)
    assert eventually(lambda: remains_of(data) == [], seconds=5)


@contextmanager
def _foreground(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a command as at a terminal: Ctrl-C counts, also if these tests run in the background of a shell."""
    heeding = ["env", "--default-signal=INT", *command]
    with subprocess.Popen(heeding, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def test_what_a_killed_supervisor_leaves_is_ended_by_down(data: Path) -> None:
    beside = RunningStack(data)
    beside.up("--no-seed")
    supervisor = next(line for line in remains_of(data) if "local_stack" in line)
    pids = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _command(p) == supervisor]

    os.kill(pids[0], signal.SIGKILL)
    beside.run("down")

    assert eventually(lambda: remains_of(data) == [], seconds=5)


def _command(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
