"""A shop of real processes on the tests' servers, with deadlines of seconds: workers, relays, executor, provider.

The APIs are called in this process: what they answer does not depend on who serves them.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx2
from issuer import AUDIENCE, ISSUER, Issuer
from sqlalchemy import Engine

from inventory_svc import healing as inventory_healing
from inventory_svc.api import blp as inventory_blueprint
from local_stack.ports import free_port
from local_stack.process import Process
from orderflow_cli.seed import ADDRESS
from orders_svc.api import blp as orders_blueprint
from orders_svc.healing import healer
from orders_svc.intake import Door
from orders_svc.saga import Deadlines, checkout
from payments_svc import healing as payments_healing
from payments_svc.api import blp as payments_blueprint
from payments_svc.simulator_provider import SimulatorProvider
from shared_events import database
from shared_events.publisher import connect
from shared_events.settings import Servers
from shared_events.spare import Spare
from shared_http.application import create_api
from shared_http.healing import healing_route
from shared_http.ops import ops_routes
from shared_http.settings import HttpSettings

ROOT = Path(__file__).resolve().parents[3]
SERVICES = ("orders", "inventory", "payments")
DEADLINE_S = 8.0
TABLES = {
    "orders": "orders, order_entries, products, customers",
    "inventory": "reservation_lines, reservations, stock_movements, stock, products",
    "payments": "refunds, intents, payments",
}
T = TypeVar("T")


def eventually(look: Callable[[], T | None], within_s: float = 40.0) -> T:
    """Return what `look` returns as soon as it is true; fail if that takes too long."""
    until = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < until, f"still {seen!r} after {within_s:g} s"
        time.sleep(0.05)
    return seen


class SmallShop:
    """Three services without their web servers, and one product with plenty of stock."""

    def __init__(self, servers: Any, home: Path) -> None:
        self.servers, self.home = servers, home
        self.issuer = Issuer()
        self.provider_url = f"http://127.0.0.1:{free_port()}"
        self.provider = SimulatorProvider(self.provider_url)
        self.engines = {service: self._engine(service) for service in SERVICES}
        self.processes = {name: self._process(name) for name in self._names()}
        self.apis = {service: self._api(service) for service in SERVICES}
        self._empty()

    def start(self, *names: str) -> None:
        """Start processes, all by default, and wait until the workers consume."""
        for name in names or self.processes:
            self.processes[name].spawn()
        eventually(lambda: all(self._consumers(queue) for queue in (*SERVICES, "payments.calls")))

    def stop(self, *names: str) -> None:
        """End processes gracefully, all by default."""
        chosen = [self.processes[name] for name in names or self.processes]
        for process in chosen:
            process.terminate()
        for process in chosen:
            process.stop()

    def close(self) -> None:
        """End everything and leave the tables and queues empty."""
        self.stop()
        self._empty()
        for engine in self.engines.values():
            engine.dispose()

    @contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """Freeze processes for a while."""
        for name in names:
            self.processes[name].pause()
        try:
            yield
        finally:
            for name in names:
                self.processes[name].resume()

    def rows(self, service: str, statement: str, **values: Any) -> list[Any]:
        """Run a statement in a service's database and commit; return its rows, if it has any."""
        with self.engines[service].begin() as connection:
            result = connection.exec_driver_sql(statement, values or None)
            return list(result.all()) if result.returns_rows else []

    def get(self, path: str) -> Any:
        """Return what an API answers."""
        return self._client(path).get(path, headers=self.issuer.headers("olga", "customer staff ops")).json

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """POST as an operator or a customer; return what is answered."""
        headers = self.issuer.headers("olga", "customer ops") | {"Idempotency-Key": str(uuid4())}
        answer = self._client(path).post(path, json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        return answer.json

    def order(self) -> UUID:
        """Place an order of one piece."""
        lines = [{"sku": "LAMP", "quantity": 1}]
        body = {"lines": lines, "payment_method": "tok_visa", "shipping_address": ADDRESS}
        return UUID(self.post("/v1/orders", body)["id"])

    def status(self, order_id: UUID) -> str:
        """Return an order's status."""
        return str(self.get(f"/v1/orders/{order_id}")["status"])

    def becomes(self, order_id: UUID, *statuses: str) -> dict[str, Any]:
        """Wait until an order has one of these statuses; return it."""
        eventually(lambda: self.status(order_id) in statuses)
        return dict(self.get(f"/v1/orders/{order_id}"))

    def charges(self, order_id: UUID) -> list[int]:
        """Return what the provider ever held for an order."""
        return [each.authorized for each in self.provider.records(order_id=str(order_id))]

    def reservation(self, order_id: UUID) -> str | None:
        """Return the status of an order's goods."""
        rows = self.rows("inventory", "SELECT status FROM reservations WHERE order_id = %(id)s", id=order_id)
        return rows[0].status if rows else None

    def weather(self, kind: str, seconds: float, slow_s: float) -> None:
        """Give the provider bad weather for a while."""
        forecast = {"kind": kind, "seconds": seconds, "slow_s": slow_s}
        assert httpx2.post(f"{self.provider_url}/weather", json=forecast).is_success

    def purge(self, queue: str) -> int:
        """Lose all messages of a queue; return how many."""
        connection = connect(self.servers.access.broker_url(queue.partition(".")[0]))
        try:
            return int(connection.channel().queue_purge(queue))
        finally:
            connection.close()

    def depth(self, queue: str) -> int:
        """Return how many messages are ready in a queue."""
        return int(self._declared(queue).message_count)

    @staticmethod
    def _names() -> list[str]:
        return ["provider-simulator", "payments-executor",
                *(f"{service}-{kind}" for service in SERVICES for kind in ("relay", "worker"))]  # fmt: skip

    def _process(self, name: str) -> Process:
        service, _, kind = name.partition("-")
        port = self.provider_url.rpartition(":")[2]
        command = {
            "relay": ["shared_events.relay"],
            "simulator": ["provider_simulator", "--port", port, "--store", str(self.home / "books")],
        }.get(kind, ["celery", "-A", f"{service}_svc.{kind}", "worker", "--concurrency", "1"])
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "ORDERFLOW_LOG_LEVEL": "WARNING"}
        if service in SERVICES:
            environment |= {
                **self.servers.access.environment(service),
                "ORDERFLOW_PROVIDER_URL": self.provider_url,
                "ORDERFLOW_STOCK_DEADLINE_S": str(DEADLINE_S),
                "ORDERFLOW_PAYMENT_DEADLINE_S": str(DEADLINE_S),
                "ORDERFLOW_RETRY_TIERS_S": "1",
            }
        return Process(
            name=name,
            argv=[sys.executable, "-m", *command],
            environment=environment,
            log=self.home / f"{name}.log",
            directory=ROOT,
        )

    def _engine(self, service: str) -> Engine:
        return database.engine(self.servers.access.database_url(service), pool_size=4, process="test")

    def _api(self, service: str) -> Any:
        access, saga = self.servers.access, checkout(Deadlines(DEADLINE_S, DEADLINE_S))
        servers = Servers(access.database_url(service), access.broker_url(service), access.redis_url(service))
        blueprint, heal = {
            "orders": (orders_blueprint, healer(saga)),
            "inventory": (inventory_blueprint, inventory_healing.heal),
            "payments": (payments_blueprint, payments_healing.heal),
        }[service]
        return create_api(
            service,
            settings=HttpSettings(servers, ISSUER, AUDIENCE, "file:///nowhere"),
            engine=self.engines[service],
            blueprints=[blueprint, ops_routes(service), healing_route(service, heal)],
            keys=self.issuer,
            config={
                "CHECKOUT": saga,
                "SPARE": Spare(self.engines[service]),
                "DOOR": Door(1_000_000),
                "PROVIDER": self.provider,
            },
        )

    def _client(self, path: str) -> Any:
        service = path.split("/")[2]
        return self.apis[service if service in self.apis else "orders"].test_client()

    def _empty(self) -> None:
        for service, tables in TABLES.items():
            self.rows(service, f"TRUNCATE {tables}, outbox, inbox, dead_letters, idempotency_keys CASCADE")
            for queue in (service, f"{service}.dead", f"{service}.retry.1s"):
                self.purge(queue)
        for queue in ("payments.calls", "payments.calls.retry.1s"):
            self.purge(queue)
        self.rows("orders", "INSERT INTO products VALUES ('LAMP', 'Lamp', 4900, 'EUR', true, 1)")
        self.rows(
            "inventory",
            """INSERT INTO products (sku, name, description, price_amount, currency, active, version)
               VALUES ('LAMP', 'Lamp', '', 4900, 'EUR', true, 1);
               INSERT INTO stock VALUES ('LAMP', 100, 0);
               INSERT INTO stock_movements (id, sku, kind, quantity, cause)
               VALUES (gen_random_uuid(), 'LAMP', 'receive', 100, 'test')""",
        )

    def _consumers(self, queue: str) -> int:
        return int(self._declared(queue).consumer_count)

    def _declared(self, queue: str) -> Any:
        connection = connect(self.servers.access.broker_url(queue.partition(".")[0]))
        try:
            return connection.channel().queue_declare(queue, passive=True)
        finally:
            connection.close()
