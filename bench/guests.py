"""The contenders as systems to measure: each has our servers, and a provider simulator of its own, for its turn."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import httpx2

from bench.contenders import Contender, Servers
from bench.generator import Sent
from bench.place import CORES, HOT, PIECES, Place
from local_stack import http
from local_stack.leftovers import MARK
from local_stack.ports import free_port
from local_stack.process import Process
from orderflow_cli import dev_key
from orderflow_cli.errors import CommandError
from orderflow_cli.names import SERVERS
from orderflow_cli.options import ROOT

_VHOST = "bench"
_READY_S, _POLL_S = 90.0, 0.25


@dataclass
class Guest:
    """A contender whose processes run. `kinds` are those of its processes and of the servers, by process id."""

    contender: Contender
    servers: Servers
    ports: list[int]
    place: Place
    kinds: dict[int, str] = field(default_factory=dict)
    apart: frozenset[str] = frozenset({"simulator"})
    _seen: Counter[float] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """Return what it is called in tables."""
        return self.contender.name

    @property
    def skus(self) -> Sequence[str]:
        """Return the products that are ordered."""
        return self.place.skus

    def tokens(self) -> list[str]:
        """Return its customers' tokens."""
        return self.place.tokens()

    def roots(self) -> Mapping[int, str]:
        """Return the kind of each of its processes, by id."""
        return self.kinds

    def note(self, run: str, sent: Sent) -> None:
        """Write nothing down: it promises nothing that could be checked."""

    def unfinished(self) -> int:
        """Return how many orders are under way."""
        return 0 if self.contender.intake_only else self.contender.progress(self.servers).unfinished

    def confirmed_ms(self, run: str) -> list[float]:  # noqa: ARG002
        """Return the times of the orders that were finished since this was asked last."""
        if self.contender.intake_only:
            return []
        every = Counter(self.contender.seconds(self.servers))
        fresh, self._seen = every - self._seen, every
        return [1000 * seconds for seconds in fresh.elements()]


@contextmanager
def hosted(place: Place, contender: Contender) -> Iterator[Guest]:
    """Make a contender's databases and queues anew, run its processes, and end them. None of ours runs meanwhile."""
    simulator = _simulator(place, contender.name)
    servers = _servers(place, simulator)
    contender.prepare(servers, [*place.skus, HOT], PIECES)
    guest = Guest(contender, servers, [free_port() for _ in range(doors_of(contender))], place)
    children = [(simulator, "simulator")]
    for number, command in enumerate(contender.processes(servers, guest.ports)):
        name = f"{contender.name}-{command.kind}-{number}"
        children.append((_process(place, name, list(command.argv), command.environment), command.kind))
    try:
        for child, _ in children:
            child.spawn()
        _await(contender.name, [child for child, _ in children], lambda: _is_up(guest))
        guest.kinds |= {child.pid: kind for child, kind in children if child.pid}
        guest.kinds |= {pid: name for name, pid in place.pids().items() if name in SERVERS}
        yield guest
    finally:
        for child, _ in children:
            child.terminate()
        for child, _ in children:
            child.stop()


def doors_of(contender: Contender) -> int:
    """Return how many API processes it has: one, but one for each core where the door is all there is."""
    return CORES if contender.intake_only else 1


def _is_up(guest: Guest) -> bool:
    answers = [http.get(f"http://127.0.0.1:{port}/health/live") for port in guest.ports]
    return all(each and each.status == 200 for each in answers) and guest.contender.ready(guest.servers)


def _await(name: str, children: list[Process], is_up: Callable[[], bool]) -> None:
    until = time.monotonic() + _READY_S
    while not is_up():
        dead = next((child for child in children if not child.alive()), None)
        if dead or time.monotonic() > until:
            child = dead or children[-1]
            raise CommandError(f"{name} does not start: {child.name}: {child.last_words()} ({child.log})")
        time.sleep(_POLL_S)


def _process(place: Place, name: str, argv: list[str], environment: Mapping[str, str]) -> Process:
    return Process(
        name=name,
        # If the bench is killed they are asked to end, not killed like our other children: so they end theirs.
        argv=["setpriv", "--pdeathsig", "TERM", "--", *argv],
        # Marked as the stack's: what a killed bench leaves behind is ended with it.
        environment={**os.environ, MARK: str(place.data), "PYTHONPATH": str(ROOT), **environment},
        log=place.data / "logs" / f"{name}.log",
        directory=ROOT,
        grace_s=15.0,
    )


def _simulator(place: Place, name: str) -> Process:
    """Return a provider for a guest alone: in the books of ours there must be our charges only."""
    store = place.data / f"provider-{name}.db"
    for file in place.data.glob(f"{store.name}*"):
        file.unlink()
    where = ["--host", "127.0.0.1", "--port", str(free_port())]
    argv = [sys.executable, "-m", "provider_simulator", *where, "--store", str(store)]
    return _process(place, f"{name}-simulator", argv, {})


def _servers(place: Place, simulator: Process) -> Servers:
    access = place.access
    user, password = _make_vhost(access.rabbitmq_admin_url)
    port = simulator.argv[simulator.argv.index("--port") + 1]
    return Servers(
        postgres_admin_url=access.postgres_admin_url,
        amqp_url=f"amqp://{user}:{password}@{access.amqp_address}/{_VHOST}",
        redis_url=access.redis_admin_url,
        provider_url=f"http://127.0.0.1:{port}",
        identity={
            "ORDERFLOW_JWT_ISSUER": dev_key.ISSUER,
            "ORDERFLOW_JWT_AUDIENCE": dev_key.AUDIENCE,
            "ORDERFLOW_JWKS_URL": dev_key.jwks_file(place.data).as_uri(),
        },
    )


def _make_vhost(admin_url: str) -> tuple[str, str]:
    """Make a virtual host for the guests, which the administrator may use; return its name and password."""
    parts = urlsplit(admin_url)
    user, password = parts.username or "", parts.password or ""
    base = f"{parts.scheme}://{parts.hostname}:{parts.port}{parts.path.rstrip('/')}"
    with httpx2.Client(base_url=base, auth=(user, password), trust_env=False, timeout=15) as api:
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        api.put(f"/api/vhosts/{_VHOST}", json={}).raise_for_status()
        api.put(f"/api/permissions/{_VHOST}/{quote(user)}", json=everything).raise_for_status()
    return user, password
