"""The local stack that faults are made in: its processes, its servers, and what is known of them."""

import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2

from local_stack import client, fault_proxy, state
from local_stack.access import Access
from local_stack.process import descendants
from orderflow_cli.chaos.kinds import KINDS, THROUGH_THE_PROXY
from orderflow_cli.chaos.outsider import Outsider
from orderflow_cli.errors import CommandError


class Scene:
    """One stack, for the time of one run. Several faults, a thread each, act on it at once."""

    def __init__(self, data: Path, say: Callable[[str], None]) -> None:
        self.data, self.say = data, say
        self.access: Access = client.access(data)
        self.outsider = Outsider(self.access)
        self.poison_taken: dict[str, str] = {}
        """The marks of the poison that RabbitMQ confirmed, and what each is: it must become a dead letter."""
        self.copies = 0
        self.overtaken = 0
        self._state = state.load(data)
        self.scale: Mapping[str, int] = self._state.scale
        self._lock = threading.Lock()

    def left_out(self) -> dict[str, str]:
        """Return the kinds of fault that cannot be made here, and why."""
        found: dict[str, str] = {}
        if not self._state.faulty:
            why = "this stack was started without the fault proxy: let chaos start its own"
            found |= dict.fromkeys(THROUGH_THE_PROXY, why)
        here = {each["name"] for each in client.processes(self.data)}
        for kind in KINDS.values():
            servers = [target for target in kind.targets if target in {"rabbitmq", "redis", "postgres"}]
            if servers and not here.issuperset(servers):
                found[kind.name] = f"somebody else runs {servers[0]}"
        return found

    def process(self, name: str) -> Mapping[str, Any]:
        """Return what the supervisor says of a process or server; CommandError if there is none."""
        for each in client.processes(self.data):
            if each["name"] == name:
                return each
        raise CommandError(f"there is no {name} in this stack")

    def pid(self, name: str) -> int:
        """Return the process id; CommandError if it does not run at the moment."""
        found = self.process(name)["pid"]
        if found is None:
            raise CommandError(f"{name} does not run at the moment")
        return int(found)

    def family(self, name: str) -> list[int]:
        """Return the process ids of a process and of all that it started, itself first."""
        pid = self.pid(name)
        return [pid, *descendants(pid)]

    def signal(self, pids: list[int], number: signal.Signals) -> None:
        """Send a signal; who is gone already does not mind."""
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def await_new(self, name: str, old: int) -> None:
        """Wait until a process is ready under another process id."""
        client.settle(self.data, [name], not_pids={name: old})

    def await_ready(self, names: list[str]) -> None:
        """Wait until these are ready."""
        client.settle(self.data, names)

    def harm(self, route: str, harm: str, delay_s: float = 0.0) -> int:
        """Tell the fault proxy; return how many connections it concerned."""
        port = self._state.port_of(fault_proxy.NAME)
        url, body = f"http://127.0.0.1:{port}/routes/{route}", {"fault": harm, "delay_s": delay_s}
        answer = httpx2.post(url, json=body, timeout=10, trust_env=False).raise_for_status()
        return int(answer.json()["connections"])

    def weather(self, kind: str, seconds: float, slow_s: float) -> None:
        """Tell the provider simulator, straight."""
        url = f"http://{self.process('provider-simulator')['address']}/weather"
        body = {"kind": kind, "seconds": seconds, "slow_s": slow_s}
        httpx2.post(url, json=body, timeout=10, trust_env=False).raise_for_status()

    def count(self, *, copies: int = 0, overtaken: int = 0) -> None:
        """Count what the message faults did."""
        with self._lock:
            self.copies += copies
            self.overtaken += overtaken
