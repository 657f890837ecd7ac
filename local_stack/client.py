"""The command line's side of a stack: start its supervisor, watch it come up, and wait for what was asked."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_stack import control, doors, leftovers, ports, state
from local_stack.access import Access
from local_stack.errors import StackError
from local_stack.process import started_at

_POLL_S = 0.2
_SETTLE_S = 120.0
# Whoever it replaced before ends within 30 s, its successor is ready within 120 s, and the gateway looks at both.
_RESTART_S = 200.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class StartOptions:
    """How a stack is to be started."""

    port: int | None
    scale: Mapping[str, int]
    concurrency: int | None
    seeded: bool
    attached: bool
    faulty: bool = False


def running(data: Path) -> bool:
    """Return whether a supervisor has this directory."""
    return leftovers.Lock(data).held()


def gateway_port(data: Path) -> int:
    """Return the port of the stack's one door."""
    return state.load(data).port


def start(data: Path, options: StartOptions) -> subprocess.Popen[bytes]:
    """Start the supervisor of a stack; it lives in a session of its own and logs to `<data>/logs`."""
    (data / "logs").mkdir(parents=True, exist_ok=True)
    leftovers.clean(data)
    port = _gateway_port(data, options.port)
    command = [sys.executable, "-m", "local_stack", f"--data={data}", f"--port={port}"]
    command += [f"--scale={json.dumps(dict(options.scale))}"]
    if options.concurrency:
        command.append(f"--concurrency={options.concurrency}")
    if not options.seeded:
        command.append("--no-seed")
    if options.faulty:
        command.append("--fault-proxy")
    if options.attached:
        command.append("--attached")
    with (data / "logs" / "supervisor.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - fixed command
            command,
            cwd=Path(__file__).resolve().parents[1],
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE if options.attached else subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def watch_start(data: Path, child: subprocess.Popen[bytes], say: Say) -> None:
    """Pass on what the supervisor says until its stack is ready; StackError if it fails."""
    told = 0
    while True:
        try:
            progress = control.ask(data, "progress", since=told)
        except control.NoStackError:
            if child.poll() is not None:
                raise StackError(f"the supervisor ended: {_last_line(data)}") from None
        else:
            for line in progress["said"]:
                say(line)
            told += len(progress["said"])
            if progress["phase"] == "failed":
                child.wait()
                raise StackError(progress["failure"])
            if progress["phase"] == "ready":
                return
        time.sleep(_POLL_S)


def resize(data: Path, scale: Mapping[str, int], concurrency: int | None, say: Say) -> None:
    """Have a running stack take up other sizes, and wait until it has."""
    before = {each["name"]: each["pid"] for each in processes(data)}
    answer = control.ask(data, "resize", scale=dict(scale), concurrency=concurrency)
    if answer["names"]:
        say(f"changing {', '.join(answer['names'])}")
        settle(data, answer["names"], not_pids={name: before.get(name) for name in answer["restarted"]})


def down(data: Path, seconds: float = 90.0) -> bool:
    """End a stack and wait until nothing of it is left; False if there was none."""
    lock = leftovers.Lock(data)
    if not lock.held():
        return bool(leftovers.clean(data)) if data.exists() else False
    until, supervisor = time.monotonic() + seconds, None
    while lock.held() or (supervisor and started_at(supervisor)):
        with suppress(control.NoStackError):  # it is just starting, or about to be gone
            supervisor = int(control.ask(data, "down")["pid"])
        if time.monotonic() > until:
            raise StackError(f"the stack did not end within {seconds:g} s: see {data}/logs/supervisor.log")
        time.sleep(_POLL_S)
    leftovers.clean(data)
    return True


def act(data: Path, verb: str, names: Iterable[str]) -> list[str]:
    """Stop, start or restart these, wait until they have, and return whom it meant."""
    if verb == "restart":
        return restart(data, names)
    meant: list[str] = control.ask(data, verb, names=list(names))["names"]
    settle(data, meant, stopped=verb == "stop")
    if verb != "stop":
        _await_doors(data, meant)
    return meant


def restart(data: Path, names: Iterable[str], say: Say = lambda _: None) -> list[str]:
    """Restart these one after the other, each when the one before it is well again; return whom it meant."""
    meant: list[str] = control.ask(data, "resolve", names=list(names))["names"]
    for name in meant:
        before = {each["name"]: each["pid"] for each in processes(data)}
        control.ask(data, "restart", name=name, within_s=_RESTART_S)
        settle(data, [name], not_pids=before)
        _await_doors(data, [name])
        say(f"restarted {name}")
    return meant


def _await_doors(data: Path, names: Iterable[str]) -> None:
    """Wait until the gateway, if it runs, has seen that these APIs are healthy again."""
    apis = {name.partition("-")[0] for name in names if "-api" in name}
    for each in processes(data):
        if each["name"] == "gateway" and each["state"] == "ready":
            doors.await_open(each["address"], sorted(apis))


def access(data: Path) -> Access:
    """Return the ways into the servers of a running stack."""
    ways = dict(control.ask(data, "access"))
    return Access(**ways)


def processes(data: Path) -> list[dict[str, Any]]:
    """Return what the supervisor says of each process and server."""
    return list(control.ask(data, "status")["processes"])


def settle(
    data: Path,
    names: Iterable[str],
    *,
    stopped: bool = False,
    not_pids: Mapping[str, int | None] | None = None,
) -> None:
    """Wait until each of these is as wanted: stopped, or ready with a new process id, or gone."""
    old = not_pids or {}
    until = time.monotonic() + _SETTLE_S
    while True:
        status = control.ask(data, "status")
        found = {each["name"]: each for each in status["processes"]}
        waiting = [name for name in names if name in found and not _settled(found[name], stopped, old)]
        waiting += [name for name in names if name in status["leaving"]]
        if not waiting:
            return
        if time.monotonic() > until:
            how = found[waiting[0]]["state"] if waiting[0] in found else "still ending"
            raise StackError(f"{waiting[0]} is {how}: see `./orderflow logs {waiting[0]}`")
        time.sleep(_POLL_S)


def _settled(process: Mapping[str, Any], stopped: bool, old: Mapping[str, int | None]) -> bool:
    if stopped:
        return bool(process["state"] == "stopped")
    same = old.get(process["name"]) is not None and process["pid"] == old[process["name"]]
    return process["state"] == "ready" and not same


def _gateway_port(data: Path, wanted: int | None) -> int:
    if wanted == 0:
        return ports.free_port()
    port = wanted if wanted is not None else state.load(data).port
    if not ports.is_free(port):
        raise StackError(f"port {port} is taken: choose another with --port, or --port 0 for a free one")
    return port


def _last_line(data: Path) -> str:
    lines = (data / "logs" / "supervisor.log").read_text(errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")
