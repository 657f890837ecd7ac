"""The bench's own stack: empty at its start, in a directory of its own, stocked with products and customers."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from bench.accounting import processes
from local_stack import client, given, state
from local_stack.access import Access
from local_stack.blueprint import base_of
from orderflow_cli import dev_key
from orderflow_cli.client import LOCAL, Api, Deployment
from orderflow_cli.errors import CommandError
from orderflow_cli.names import SERVICES
from orderflow_cli.own_stack import running_stack

SKUS = [f"BENCH-{number:04}" for number in range(1000)]
HOT = "BENCH-HOT"
PIECES = 1_000_000_000
CORES = len(os.sched_getaffinity(0))
CUSTOMERS = [f"bench-{number}@example.com" for number in range(8)]
OURS = (*SERVICES, "flower")
"""What `stop` and `start` call all processes of our own that work: the services', and Flower."""
_PRICE = {"amount": 1900, "currency": "EUR"}
_HEARD_S = 60.0
_KINDS = {
    "api": "api",
    "worker": "workers",
    "executor": "executor",
    "relay": "relays",
    "simulator": "simulator",
}
OTHER = "other"
KINDS = ("api", "workers", "executor", "relays", "postgres", "rabbitmq", "redis", "flower", "gateway", OTHER)
"""The kinds of process that an order's CPU is told by, in the order of the tables."""

Say = Callable[[str], None]


@dataclass
class Place:
    """A running stack, its directory, the ways into its servers, and the products that are ordered."""

    data: Path
    say: Say
    access: Access
    skus: Sequence[str] = field(default_factory=lambda: SKUS)
    deployment: Deployment = field(init=False)

    def __post_init__(self) -> None:
        url = f"http://127.0.0.1:{client.gateway_port(self.data)}"
        self.deployment = Deployment(LOCAL, url, self.data)

    def tokens(self) -> list[str]:
        """Return a token for each customer, good for an hour from now."""
        return [dev_key.sign(self.data, subject=email, scopes="customer") for email in CUSTOMERS]

    def ports_of(self, base: str) -> list[int]:
        """Return the port of each process of a kind."""
        own = [each for each in client.processes(self.data) if base_of(each["name"]) == base]
        return [int(each["address"].rpartition(":")[2]) for each in own]

    @contextmanager
    def doors(self, count: int) -> Iterator[None]:
        """Run so many processes of Orders' API, and at the end one."""
        self._resize(count)
        yield
        self._resize(1)

    def _resize(self, count: int) -> None:
        client.resize(self.data, {"orders-api": count}, None, lambda _: None)

    def roots(self) -> dict[int, str]:
        """Return the kind of each process that lives, by its id, and `other` for the supervisor of all."""
        found = {each["pid"]: kind_of(each["name"]) for each in client.processes(self.data) if each["pid"]}
        return {**found, _supervisor(found): OTHER}

    def pids(self) -> dict[str, int]:
        """Return the id of each process that lives, by its name."""
        return {each["name"]: each["pid"] for each in client.processes(self.data) if each["pid"]}

    def stop(self, *names: str) -> None:
        """End these gracefully."""
        client.act(self.data, "stop", names)

    def start(self, *names: str) -> None:
        """Start what was stopped, and wait until it is ready."""
        client.act(self.data, "start", names)

    def names(self, *kinds: str) -> list[str]:
        """Return the names of all processes of these kinds, running or not."""
        return [each["name"] for each in client.processes(self.data) if kind_of(each["name"]) in kinds]

    def audit(self, service: str) -> psycopg.Connection[tuple[int, ...]]:
        """Open a service's database, read-only."""
        return psycopg.connect(self.access.audit_url(service), autocommit=True)


def kind_of(name: str) -> str:
    """Return the kind that a process counts for; a server is one by itself."""
    parts = name.split("-")
    return _KINDS.get(parts[1], name) if len(parts) > 1 else name


def _supervisor(known: Mapping[int, str]) -> int:
    """Return the process that started these."""
    rows = processes()
    return next(rows[pid].parent for pid in known if pid in rows)


@contextmanager
def own_place(data: Path, say: Say) -> Iterator[Place]:
    """Start a stack in an empty directory, stock it, and end it whatever happens; its files go, its logs stay."""
    if given.servers():
        raise CommandError(f"the bench runs servers of its own: unset {', '.join(given.VARIABLES.values())}")
    data.mkdir(parents=True, exist_ok=True)
    if client.running(data):
        raise CommandError(f"another bench runs in {data}")
    state.wipe(data)
    with running_stack(data, say):
        place = Place(data, say, client.access(data))
        stock(place)
        yield place
    logs = data.with_name(f"{data.name}-logs")
    _keep(data / "logs", logs)
    state.wipe(data)


def _keep(logs: Path, there: Path) -> None:
    shutil.rmtree(there, ignore_errors=True)
    logs.rename(there)


def stock(place: Place) -> None:
    """Make the products, their stock and the customers through the public API, as anybody would."""
    skus = [*place.skus, HOT]
    place.say(f"stocking {len(skus)} products")
    with place.deployment.api() as api, ThreadPoolExecutor(4) as pool:
        for email in CUSTOMERS:
            api.ask("POST", "/v1/customers", {"email": email, "name": "Bench"})
        list(pool.map(lambda sku: _stock_one(api, sku), skus))
    with place.audit("orders") as orders:
        until = time.monotonic() + _HEARD_S
        while (heard := _count(orders)) < len(skus):
            if time.monotonic() > until:
                raise CommandError(f"Orders has heard of {heard} products of {len(skus)} only")
            time.sleep(0.2)


def _stock_one(api: Api, sku: str) -> None:
    api.ask("PUT", f"/v1/products/{sku}", {"name": sku, "price": _PRICE})
    movement = {"kind": "receive", "quantity": PIECES, "cause": "bench"}
    api.ask("POST", f"/v1/products/{sku}/stock-movements", movement, idempotency_key=f"stock-{sku}")


def _count(orders: psycopg.Connection[tuple[int, ...]]) -> int:
    row = orders.execute("SELECT count(*) FROM products WHERE active AND sku LIKE 'BENCH-%'").fetchone()
    return row[0] if row else 0
