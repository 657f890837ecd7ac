"""Faults of processes: killed, frozen, restarted, with a wrong clock."""

import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from local_stack import blueprint, client, control
from local_stack.process import descendants
from orderflow_cli.chaos.insist import insist
from orderflow_cli.chaos.scene import Scene
from orderflow_cli.chaos.schedule import Fault
from orderflow_cli.errors import CommandError


@contextmanager
def killed(scene: Scene, fault: Fault) -> Iterator[None]:
    """Kill the process; the supervisor starts it again."""
    pid = scene.pid(fault.target)
    scene.signal([pid], signal.SIGKILL)
    yield
    scene.await_new(fault.target, pid)


@contextmanager
def pool_process_killed(scene: Scene, fault: Fault) -> Iterator[None]:
    """Kill one of a worker's pool processes, perhaps in the middle of a transaction."""
    children = descendants(scene.pid(fault.target))
    if not children:
        raise CommandError(f"{fault.target} has no pool process at the moment")
    scene.signal([random.Random(fault.number).choice(children)], signal.SIGKILL)  # noqa: S311  no secret
    yield
    scene.await_ready([fault.target])


@contextmanager
def frozen(scene: Scene, fault: Fault) -> Iterator[None]:
    """Freeze the process and its children, as a paused machine would be."""
    family = scene.family(fault.target)
    try:
        scene.signal(family, signal.SIGSTOP)
        yield
    finally:
        scene.signal(family, signal.SIGCONT)
    scene.await_ready([fault.target])


@contextmanager
def stopped(scene: Scene, fault: Fault) -> Iterator[None]:
    """Stop the process gracefully, and start it afterwards."""
    try:
        client.act(scene.data, "stop", [fault.target])
        yield
    finally:
        insist(lambda: client.act(scene.data, "start", [fault.target]))


@contextmanager
def clock_off(scene: Scene, fault: Fault) -> Iterator[None]:
    """Restart the process with its clock off, and later with the right one."""
    try:
        control.ask(scene.data, "clock", name=fault.target, seconds=fault.amount)
        client.act(scene.data, "restart", [fault.target])
        yield
    finally:
        insist(lambda: control.ask(scene.data, "clock", name=fault.target, seconds=0.0))
        insist(lambda: client.act(scene.data, "restart", [fault.target]))


@contextmanager
def rolling_restart(scene: Scene, _fault: Fault) -> Iterator[None]:
    """Restart every process of ours, one after another."""
    yield
    running = {each["name"] for each in client.processes(scene.data) if each["state"] != "stopped"}
    for name in blueprint.names(scene.scale):
        if name in running:
            insist(partial(client.act, scene.data, "restart", [name]))
