"""What a request sees while something behind the API is away: measured, row by row, on real servers.

`python -m tests.outages` starts servers of its own and prints the table of docs/limits.md, in about two
minutes; `tests/integration/test_outages_of_requests.py` holds each row to its bound.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from flask import Flask

from local_stack.access import Access, new_passwords
from local_stack.ports import free_port
from local_stack.process import Process
from local_stack.server import Server
from local_stack.servers import Servers as LocalServers
from orderflow_cli import dev_key
from orderflow_cli.migrate import migrate
from orderflow_cli.names import SERVICES
from orderflow_cli.seed import ADDRESS
from orders_svc.api import blp as orders_blueprint
from orders_svc.intake import Door
from orders_svc.saga import Deadlines, checkout
from payments_svc.api import blp as payments_blueprint
from payments_svc.simulator_provider import SimulatorProvider
from shared_events import database
from shared_events.settings import Servers
from shared_events.spare import Spare
from shared_http.application import create_api
from shared_http.settings import HttpSettings

ROOT = Path(__file__).resolve().parents[1]
BODY = {
    "lines": [{"sku": "OUTAGE", "quantity": 1}], "payment_method": "tok_visa", "shipping_address": ADDRESS,
}  # fmt: skip
Situation = Callable[["Bench"], AbstractContextManager[Flask]]


@dataclass(frozen=True)
class Answer:
    """How a request ended."""

    status: int
    seconds: float


class Bench:
    """The application of an API behind its WSGI server, on real servers, with keys and a provider of its own."""

    def __init__(self, servers: LocalServers, access: Access, home: Path) -> None:
        self.servers, self.access, self.home = servers, access, home
        self._open = ExitStack()
        dev_key.make(home)
        port = free_port()
        self.provider_url = f"http://127.0.0.1:{port}"
        self.simulator = Process(
            name="provider-simulator",
            argv=[sys.executable, "-m", "provider_simulator", "--port", str(port), "--store", str(home / "books")],
            environment={"PATH": "/usr/bin:/bin"},
            log=home / "simulator.log",
            directory=ROOT,
        )  # fmt: skip
        self._open.callback(self.simulator.kill)
        self.simulator.spawn()

    def close(self) -> None:
        """End what it started."""
        self._open.close()

    def orders(self, **elsewhere: str) -> Flask:
        """Return the API of Orders; `elsewhere` replaces addresses (database_url, broker_url, redis_url, jwks_url)."""
        deadlines = checkout(Deadlines())
        config = {"CHECKOUT": deadlines, "DOOR": Door(1_000_000)}
        return self._api("orders", orders_blueprint, config, elsewhere)

    def payments(self, provider_url: str = "") -> Flask:
        """Return the API of Payments."""
        config = {"PROVIDER": SimulatorProvider(provider_url or self.provider_url)}
        return self._api("payments", payments_blueprint, config, {})

    def ask(self, app: Flask) -> Answer:
        """Place an order, or with Payments read the provider's books; the answer and how long it took."""
        token = dev_key.sign(self.home, subject="alice@example.com", scopes="customer ops")
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid4())}
        client, began = app.test_client(), time.monotonic()
        if app.name == "payments_svc":
            answer = client.get("/ops/payments/provider-records", headers=headers)
        else:
            answer = client.post("/v1/orders", json=BODY, headers=headers)
        return Answer(answer.status_code, time.monotonic() - began)

    def ready(self, app: Flask) -> Answer:
        """Ask whether it is ready."""
        began = time.monotonic()
        status = app.test_client().get("/health/ready").status_code
        return Answer(status, time.monotonic() - began)

    def hole(self) -> str:
        """Return an address that takes connections and never answers."""
        listener = self._open.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        return f"127.0.0.1:{listener.getsockname()[1]}"

    def _api(self, service: str, blueprint: Any, config: dict[str, Any], elsewhere: dict[str, str]) -> Flask:
        access = self.access
        servers = Servers(
            elsewhere.get("database_url", access.database_url(service)),
            elsewhere.get("broker_url", access.broker_url(service)),
            elsewhere.get("redis_url", access.redis_url(service)),
        )
        keys = elsewhere.get("jwks_url", dev_key.jwks_file(self.home).as_uri())
        engine, intake = (
            database.engine(servers.database_url, pool_size=8, process="test") for _ in range(2)
        )
        self._open.callback(engine.dispose)
        self._open.callback(intake.dispose)
        return create_api(
            service,
            settings=HttpSettings(servers, dev_key.ISSUER, dev_key.AUDIENCE, keys),
            engine=engine,
            blueprints=[blueprint],
            config={**config, "SPARE": Spare(intake)},
        )


@dataclass(frozen=True)
class Row:
    """One situation: whose it is, what happens, how requests must end, and within how many seconds."""

    server: str
    what: str
    situation: Situation
    status: int
    within_s: float
    ready: int = 200
    slow_to_restore: bool = False

    @property
    def name(self) -> str:
        """What the row is called."""
        return f"{self.server} {self.what}"


def _elsewhere(name: str, address: Callable[[Bench], str]) -> Situation:
    """Let Orders look for a server at another address."""

    @contextmanager
    def situation(bench: Bench) -> Iterator[Flask]:
        yield bench.orders(**{name: address(bench)})

    return situation


def _hurt(
    name: str, hurt: Callable[[Any], None], heal: Callable[[Any], None], service: str = "orders"
) -> Situation:
    """Let a server fail after the API has used it."""

    @contextmanager
    def situation(bench: Bench) -> Iterator[Flask]:
        app = getattr(bench, service)()
        for _ in range(2):
            bench.ask(app)
        victim = bench.simulator if name == "simulator" else getattr(bench.servers, name)
        hurt(victim)
        try:
            yield app
        finally:
            heal(victim)

    return situation


def _provider_at(address: Callable[[Bench], str]) -> Situation:
    @contextmanager
    def situation(bench: Bench) -> Iterator[Flask]:
        yield bench.payments(f"http://{address(bench)}")

    return situation


@contextmanager
def _well(bench: Bench) -> Iterator[Flask]:
    yield bench.orders()


def _memory(limit: str) -> Callable[[Any], None]:
    """Set RabbitMQ's memory limit: at nothing it blocks whoever publishes."""

    def run(rabbitmq: Any) -> None:
        command = str(rabbitmq.program.path.with_name("rabbitmqctl"))
        subprocess.run(
            [*rabbitmq.process.privileges(), command, "set_vm_memory_high_watermark", *limit.split()],
            env=rabbitmq.environment(),
            capture_output=True,
            check=True,
            timeout=60,
        )

    return run


_pause, _resume, _kill, _start = Server.pause, Server.resume, Server.kill, Server.start
_NOBODY = "127.0.0.1:1"


def _nobody(_bench: Bench) -> str:
    return _NOBODY


ROWS = (
    Row("everything", "is well", _well, 202, 2),
    Row("RabbitMQ", "refuses", _elsewhere("broker_url", lambda _: f"amqp://o:p@{_NOBODY}/v"), 202, 2),
    Row("RabbitMQ", "accepts and does not answer",
        _elsewhere("broker_url", lambda bench: f"amqp://o:p@{bench.hole()}/v"), 202, 2),
    Row("RabbitMQ", "freezes", _hurt("rabbitmq", _pause, _resume), 202, 2),
    Row("RabbitMQ", "has a memory alarm", _hurt("rabbitmq", _memory("0"), _memory("absolute 1GB")), 202, 2,
        slow_to_restore=True),
    Row("RabbitMQ", "is killed", _hurt("rabbitmq", _kill, _start), 202, 2, slow_to_restore=True),
    Row("Redis", "refuses", _elsewhere("redis_url", lambda _: f"redis://{_NOBODY}/0"), 202, 2),
    Row("Redis", "accepts and does not answer",
        _elsewhere("redis_url", lambda bench: f"redis://{bench.hole()}/0"), 202, 2),
    Row("Redis", "freezes", _hurt("redis", _pause, _resume), 202, 2),
    Row("Redis", "is killed", _hurt("redis", _kill, _start), 202, 2),
    Row("PostgreSQL", "refuses", _elsewhere("database_url", lambda _: f"postgresql://o:p@{_NOBODY}/o"), 503, 2, 503),
    Row("PostgreSQL", "accepts and does not answer",
        _elsewhere("database_url", lambda bench: f"postgresql://o:p@{bench.hole()}/o"), 503, 6, 503),
    Row("PostgreSQL", "freezes", _hurt("postgres", _pause, _resume), 503, 15, 503),
    Row("PostgreSQL", "is killed", _hurt("postgres", _kill, _start), 503, 2, 503),
    Row("identity provider", "refuses", _elsewhere("jwks_url", lambda _: f"http://{_NOBODY}/jwks"), 503, 2),
    Row("identity provider", "accepts and does not answer",
        _elsewhere("jwks_url", lambda bench: f"http://{bench.hole()}/jwks"), 503, 4),
    Row("payment provider", "refuses", _provider_at(_nobody), 503, 2),
    Row("payment provider", "accepts and does not answer", _provider_at(Bench.hole), 503, 4),
    Row("payment provider", "freezes",
        _hurt("simulator", Process.pause, Process.resume, "payments"), 503, 4),
)  # fmt: skip


def stock(access: Access) -> None:
    """Let Orders know a product to order."""
    engine = database.engine(access.database_url("orders"), pool_size=1, process="test")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO products VALUES ('OUTAGE', 'Outage', 100, 'EUR', true, 1) ON CONFLICT DO NOTHING"
        )
    engine.dispose()


def measure(bench: Bench, row: Row, times: int) -> tuple[list[Answer], Answer]:
    """Return how so many requests ended, one after the other, and then what readiness said."""
    with row.situation(bench) as app:
        return [bench.ask(app) for _ in range(times)], bench.ready(app)


def main() -> None:
    """Print the table."""
    data = Path(tempfile.mkdtemp(prefix="orderflow-outages-"))
    data.chmod(0o711)
    servers = LocalServers(data)
    try:
        servers.start()
        access = Access.to(servers, new_passwords())
        access.provision()
        migrate({service: access.database_url(service) for service in SERVICES})
        stock(access)
        bench = Bench(servers, access, data)
        print("| situation | answer | first | second | third | ready |\n|---|---|---|---|---|---|")
        for row in ROWS:
            answers, ready = measure(bench, row, 3)
            statuses = ", ".join(map(str, sorted({each.status for each in answers})))
            times = " | ".join(f"{each.seconds:.2f} s" for each in answers)
            print(
                f"| {row.name} | {statuses} | {times} | {ready.status} in {ready.seconds:.2f} s |", flush=True
            )
        bench.close()
    finally:
        servers.kill()
        shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    main()
