"""Faults of the servers, and of the ways to them."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from local_stack import client, state
from local_stack.servers import PORTS, Servers
from orderflow_cli.chaos.insist import insist
from orderflow_cli.chaos.scene import Scene
from orderflow_cli.chaos.schedule import Fault
from orderflow_cli.errors import CommandError
from orderflow_cli.names import SERVICES

_CONFIGURED = {"redis.conf", "users.acl"}
_USUAL_WATERMARK = "1GB"


@contextmanager
def server_killed(scene: Scene, fault: Fault) -> Iterator[None]:
    """Kill a server with all its processes at once; the supervisor starts it again."""
    family = scene.family(fault.target)
    scene.signal(family[:1], signal.SIGSTOP)  # or it would see its children die, and mend that
    scene.signal(scene.family(fault.target), signal.SIGKILL)
    yield
    scene.await_new(fault.target, family[0])


@contextmanager
def redis_lost(scene: Scene, _fault: Fault) -> Iterator[None]:
    """Kill Redis, remove what it has kept, and start it: empty."""
    scene.signal([scene.pid("redis")], signal.SIGKILL)
    try:
        client.act(scene.data, "stop", ["redis"])
        for path in (scene.data / "var" / "redis").iterdir():
            if path.name not in _CONFIGURED:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    finally:
        insist(lambda: client.act(scene.data, "start", ["redis"]))
    yield


@contextmanager
def redis_flushed(scene: Scene, _fault: Fault) -> Iterator[None]:
    """Empty Redis while it runs."""
    with redis.Redis.from_url(scene.access.redis_admin_url, socket_timeout=5) as server:
        server.flushall()
    yield


@contextmanager
def memory_alarm(scene: Scene, _fault: Fault) -> Iterator[None]:
    """Have RabbitMQ believe that its memory is used up: it reads from no publisher."""
    try:
        _rabbitmqctl(scene.data, "set_vm_memory_high_watermark", "absolute", "1MB")
        yield
    finally:
        usual = ("set_vm_memory_high_watermark", "absolute", _USUAL_WATERMARK)
        insist(lambda: _rabbitmqctl(scene.data, *usual))


@contextmanager
def network(scene: Scene, fault: Fault) -> Iterator[None]:
    """Harm a route of the fault proxy, and heal it. Raises CommandError if no connection was there to be harmed.

    Latency needs none: it is for those to come.
    """
    harm = "cut" if fault.kind == "connections-cut" else fault.kind
    try:
        if not scene.harm(fault.target, harm, fault.amount) and harm != "latency":
            raise CommandError(f"{fault.target} has no connection at the moment")
        yield
    finally:
        insist(lambda: scene.harm(fault.target, "heal"))
    service = fault.target.partition("-")[0]
    names = [each["name"] for each in client.processes(scene.data)]
    scene.await_ready([name for name in names if name.startswith(f"{service}-") and service in SERVICES])


@contextmanager
def weather(scene: Scene, fault: Fault) -> Iterator[None]:
    """Give the payment provider a bad day."""
    try:
        scene.weather(fault.kind.removeprefix("provider-"), fault.lasts_s + 60.0, fault.amount)
        yield
    finally:
        insist(lambda: scene.weather("fair", 0.0, 0.0))


def _rabbitmqctl(data: Path, *arguments: str) -> None:
    """Run RabbitMQ's own tool on the stack's server, as the account that the server runs as."""
    memory = state.load(data)
    ports = {name: memory.port_of(name) for name in PORTS}
    server = Servers(data, ports, memory.admin_passwords, ("rabbitmq",)).rabbitmq
    tool = server.program.path.with_name("rabbitmqctl")
    result = subprocess.run(  # noqa: S603 - our own command line
        [*server.process.privileges(), str(tool), *arguments],
        env=server.environment(), cwd=server.home, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if result.returncode:
        said = (result.stderr or result.stdout).strip().splitlines() or ["no reason given"]
        raise CommandError(f"rabbitmqctl {arguments[0]}: {said[-1]}")
