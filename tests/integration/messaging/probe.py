"""What the messaging tests hold in their hands: processes to start and kill, messages to send, effects to see."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx2
import sqlalchemy
from sqlalchemy import Engine, Row

from local_stack.ports import free_port
from local_stack.process import Process, descendants
from shared_events import database
from shared_events.contract import Envelope, Message, seal
from shared_events.contracts.inventory import ReserveStock
from shared_events.contracts.values import Line
from shared_events.outbox import Outgoing, celery_body, write
from shared_events.parcel import Parcel
from shared_events.publisher import Publisher, connect
from shared_events.tables import DEAD_LETTERS
from shared_events.writes import Writes

ROOT = Path(__file__).resolve().parents[3]
T = TypeVar("T")
_LEAST = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": os.environ.get("HOME", "/")}


def eventually(look: Callable[[], T | None], *, within_s: float = 15.0) -> T:
    """Return what `look` returns as soon as it is true; fail if that takes too long."""
    until = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < until, f"still {seen!r} after {within_s:g} s"
        time.sleep(0.03)
    return seen


def measured(process: Process, name: str) -> float:
    """Return a measurement of a process, as Prometheus would read it (0 if there is none yet)."""
    address = process.environment["ORDERFLOW_PROBE_ADDRESS"]
    try:
        text = httpx2.get(f"http://{address}/metrics").text
    except httpx2.TransportError:
        return 0.0
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def order_of(*skus: str) -> ReserveStock:
    """Return a command for a new order; what its handler does is named by the SKU."""
    return ReserveStock(order_id=uuid4(), lines=tuple(Line(sku, 1) for sku in skus), hold_s=60.0)


def sealed(message: Message) -> Envelope:
    """Put a message into an envelope of a new journey."""
    return seal(message, correlation_id=uuid4())


def headers_of(envelope: Envelope) -> dict[str, Any]:
    """Return the headers that a relay would give it."""
    return {"task": envelope.type, "id": str(envelope.id), "root_id": str(envelope.correlation_id)}


def parcel_of(envelope: Envelope, **changes: Any) -> Parcel:
    """Return the message as it lies on the wire; `changes` make it a bad one."""
    body, headers = celery_body(envelope), headers_of(envelope)
    return replace(Parcel(str(envelope.id), "messages", envelope.type, body, headers), **changes)


class Service:
    """One service's database and credentials, and the processes that run it."""

    application = "probe_worker"

    def __init__(self, name: str, servers: Any, home: Path, **environment: str) -> None:
        self.name = name
        self.servers = servers
        self.home = home
        self.environment = {
            **_LEAST,
            **servers.access.environment(name),
            "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}",
            "PROBE_MARKS": str(home),
            "ORDERFLOW_RETRY_TIERS_S": "1",
            **environment,
        }
        self.engine: Engine = database.engine(servers.access.database_url(name), pool_size=2, process="test")
        self._started: list[Process] = []

    def worker(self, concurrency: int = 2) -> Process:
        """Start a worker and wait until it consumes."""
        command = ["-m", "celery", "-A", self.application, "worker", "--concurrency", str(concurrency)]
        process = self._start("worker", command)
        eventually(lambda: self._consumers() >= len(self._alive("worker")), within_s=30)
        return process

    def relay(self) -> Process:
        """Start a relay that serves its measurements."""
        self.environment["ORDERFLOW_PROBE_ADDRESS"] = f"127.0.0.1:{free_port()}"
        process = self._start("relay", ["-m", "shared_events.relay"])
        del self.environment["ORDERFLOW_PROBE_ADDRESS"]
        return process

    def stop_processes(self) -> None:
        """End every process that was started here."""
        for process in self._started:
            process.terminate()
        for process in self._started:
            process.stop()
        self._started.clear()

    def stop(self) -> None:
        """End every process and leave the queues and tables empty."""
        self.stop_processes()
        self.empty()
        self.engine.dispose()

    def empty(self) -> None:
        """Empty the service's queues and its messaging tables."""
        connection = connect(self.servers.access.broker_url(self.name))
        channel = connection.channel()
        for queue in (self.name, f"{self.name}.dead", *(f"{self.name}.retry.{s}s" for s in (1, 5, 30))):
            channel.queue_purge(queue)
        connection.close()
        self.execute("TRUNCATE outbox, inbox, dead_letters")

    def execute(self, statement: str, **values: Any) -> sqlalchemy.CursorResult[Any]:
        """Run one statement in a transaction of its own."""
        with self.engine.begin() as connection:
            return connection.exec_driver_sql(statement, values or None)

    def scalar(self, statement: str, **values: Any) -> Any:
        """Return the first value of a query."""
        with self.engine.begin() as connection:
            return connection.exec_driver_sql(statement, values or None).scalar()

    def hang_up(self) -> None:
        """Have the broker close every connection, as its administrator can."""
        with httpx2.Client(base_url=self.servers.access.rabbitmq_admin_url) as api:
            for user in ("inventory", "orders"):  # it fails if one of them closes by itself meanwhile
                path = f"/api/connections/username/{user}"
                eventually(lambda path=path: api.delete(path).status_code == 204)  # type: ignore[misc]

    def emit(self, *messages: Any, journey: UUID | None = None) -> list[UUID]:
        """Commit messages to the outbox; return their ids."""
        writes = Writes()
        write(writes, [Outgoing(message, journey or uuid4()) for message in messages])
        with self.engine.begin() as connection:
            writes.send(connection)
            found = connection.exec_driver_sql("SELECT id FROM outbox WHERE xmin = pg_current_xact_id()::xid")
            return list(found.scalars())

    def depth(self, queue: str) -> int:
        """Return how many messages are ready in a queue of this service."""
        return int(self._declared(queue).message_count)

    def depth_of(self, service: str) -> int:
        """Return how many messages wait in another service's work queue."""
        with httpx2.Client(base_url=self.servers.access.rabbitmq_admin_url) as api:
            return int(api.get(f"/api/queues/orderflow/{service}").json().get("messages", 0))

    def received(self, queue: str) -> list[UUID]:
        """Take everything out of a queue; return the ids of the messages."""
        connection = connect(self.servers.access.broker_url(queue.partition(".")[0]))
        channel = connection.channel()
        ids: list[UUID] = []
        channel.basic_consume(queue, no_ack=True, callback=lambda got: ids.append(UUID(got.headers["id"])))
        with suppress(TimeoutError):
            while True:
                connection.drain_events(timeout=0.2)
        connection.close()
        return ids

    def dead(self, body: bytes) -> Row[Any] | None:
        """Return the dead letter with this body."""
        with self.engine.connect() as connection:
            return connection.execute(DEAD_LETTERS.select().where(DEAD_LETTERS.c.body == body)).first()

    def pool_processes(self) -> list[int]:
        """Return the pids of the workers' pool processes."""
        return [pid for process in self._alive("worker") for pid in descendants(process.pid or 0)]

    def _start(self, name: str, arguments: Sequence[str]) -> Process:
        process = Process(
            name=name,
            argv=[sys.executable, *arguments],
            environment=dict(self.environment),
            log=self.home / f"{name}.log",
            directory=self.home,
        )
        process.spawn()
        self._started.append(process)
        return process

    def _alive(self, name: str) -> list[Process]:
        return [process for process in self._started if process.name == name and process.alive()]

    def _consumers(self) -> int:
        return int(self._declared(self.name).consumer_count)

    def _declared(self, queue: str) -> Any:
        connection = connect(self.servers.access.broker_url(self.name))
        try:
            return connection.channel().queue_declare(queue, passive=True)
        finally:
            connection.close()


class Probe(Service):
    """Inventory's queue, consumed by `probe_worker`; `sender` publishes as Orders would."""

    def __init__(self, servers: Any, home: Path, **environment: str) -> None:
        super().__init__("inventory", servers, home, **environment)
        self.sender = Publisher(servers.access.broker_url("orders"))
        self.execute("CREATE SCHEMA IF NOT EXISTS probe")
        self.execute("CREATE TABLE IF NOT EXISTS probe.effects (order_id uuid NOT NULL, name text NOT NULL)")
        self.execute("TRUNCATE probe.effects, outbox, inbox, dead_letters")

    def stop(self) -> None:
        """End everything and leave no trace."""
        self.sender.close()
        self.execute("DROP SCHEMA probe CASCADE")
        super().stop()

    def send(self, *messages: Message) -> list[Envelope]:
        """Publish messages to the queue as Orders' relay would."""
        envelopes = [sealed(message) for message in messages]
        self.publish(*(parcel_of(envelope) for envelope in envelopes))
        return envelopes

    def publish(self, *parcels: Parcel) -> None:
        """Publish these bytes."""
        outcome = self.sender.publish(parcels)
        assert outcome.confirmed == {parcel.id for parcel in parcels}, outcome

    def effects(self, message: Any) -> int:
        """Return how often the order took effect."""
        return int(
            self.scalar("SELECT count(*) FROM probe.effects WHERE order_id = %(id)s", id=message.order_id)
        )

    def names(self, message: Any) -> list[str]:
        """Return the effects of the order, by name."""
        found = self.scalar(
            "SELECT array_agg(name) FROM probe.effects WHERE order_id = %(id)s", id=message.order_id
        )
        return sorted(found or [])

    def all_effects(self) -> tuple[int, int]:
        """Return (effects, orders with an effect)."""
        with self.engine.begin() as connection:
            row = connection.exec_driver_sql(
                "SELECT count(*), count(DISTINCT order_id) FROM probe.effects"
            ).one()
        return int(row[0]), int(row[1])

    def still_works(self) -> None:
        """Fail unless a good message that is sent now takes effect once."""
        good = order_of("good")
        self.send(good)
        eventually(lambda: self.effects(good) == 1)
