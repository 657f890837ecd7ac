"""Who is compared: how each is prepared, started and asked how far it is. Needs none of the extra's packages."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench.contenders import Command, Progress, Servers, queues
from bench.contenders.databases import SERVICES, Databases, make_anew, system
from local_stack.blueprint import api_command


@dataclass(frozen=True)
class _Shop:
    """What the contenders share: three databases, and the same API server. `module` is its part of the code."""

    name: str
    module: str
    guarantees_not: str
    intake_only: bool = False

    def prepare(self, servers: Servers, skus: Sequence[str], pieces: int) -> None:
        """See Contender."""
        Databases(servers.postgres_admin_url, self.name).make(skus, pieces)

    def processes(self, servers: Servers, api_ports: Sequence[int]) -> list[Command]:
        """See Contender."""
        factory = f"bench.contenders.{self.module}:create_app"
        return [Command("api", api_command(factory, port), self._environment(servers)) for port in api_ports]

    def ready(self, servers: Servers) -> bool:  # noqa: ARG002
        """See Contender."""
        return True

    def progress(self, servers: Servers) -> Progress:
        """See Contender."""
        return self._databases(servers).progress()

    def seconds(self, servers: Servers) -> list[float]:
        """See Contender."""
        return self._databases(servers).seconds()

    def wrongs(self, servers: Servers) -> list[str]:
        """See Contender."""
        return self._databases(servers).wrongs()

    def _databases(self, servers: Servers) -> Databases:
        return Databases(servers.postgres_admin_url, self.name)

    def _environment(self, servers: Servers) -> dict[str, str]:
        return {
            **servers.identity,
            "ORDERFLOW_DATABASE_URL": self._databases(servers).url("orders"),
            "ORDERFLOW_BROKER_URL": servers.amqp_url,
            "ORDERFLOW_REDIS_URL": servers.redis_url,
            "ORDERFLOW_PROVIDER_URL": servers.provider_url,
            "PYTHONUNBUFFERED": "1",
        }


@dataclass(frozen=True)
class _OnRabbitMQ(_Shop):
    """Has a queue and a worker process for each service. `worker` is the worker's command; {service} stands for one."""

    queues: tuple[str, ...] = ()
    worker: tuple[str, ...] = ()

    def prepare(self, servers: Servers, skus: Sequence[str], pieces: int) -> None:
        """See Contender."""
        super().prepare(servers, skus, pieces)
        queues.make_anew(servers.amqp_url, self.queues)

    def processes(self, servers: Servers, api_ports: Sequence[int]) -> list[Command]:
        """See Contender."""
        workers = [
            Command(
                "workers",
                [sys.executable, *(word.format(service=service) for word in self.worker)],
                self._environment(servers),
            )
            for service in SERVICES
        ]
        return [*workers, *super().processes(servers, api_ports)]

    def ready(self, servers: Servers) -> bool:
        """See Contender."""
        return queues.all_consumed(servers.amqp_url, self.queues)


@dataclass(frozen=True)
class _OnDbos(_Shop):
    """Runs its workflows in the API's process and keeps its books in a fourth database."""

    def prepare(self, servers: Servers, skus: Sequence[str], pieces: int) -> None:
        """See Contender."""
        super().prepare(servers, skus, pieces)
        make_anew(servers.postgres_admin_url, system(self.name))


@dataclass(frozen=True)
class _IntakeOnly(_Shop):
    """Accepts orders and leaves it at that."""

    def progress(self, servers: Servers) -> Progress:
        """See Contender."""
        found = super().progress(servers)
        return Progress(found.accepted, found.accepted, 0)

    def wrongs(self, servers: Servers) -> list[str]:  # noqa: ARG002
        """See Contender."""
        return []


NAIVE_CELERY = _OnRabbitMQ(
    name="naive-celery",
    module="naive_celery",
    guarantees_not="a crash, or RabbitMQ away for a moment, strands orders half done; nothing finds them again",
    queues=tuple(f"bench.celery.{service}" for service in SERVICES),
    worker=(
        "-m", "celery", "--app", "bench.contenders.naive_celery", "worker", "--queues", "bench.celery.{service}",
        "--hostname", "bench-{service}@%h", "--pool", "threads", "--concurrency", "8", "--loglevel", "warning",
        "--without-gossip", "--without-mingle", "--without-heartbeat",
    ),
)  # fmt: skip

_STEPS = ("reserve", "authorize", "commit", "capture", "complete", "release", "refuse")

FASTSTREAM = _OnRabbitMQ(
    name="faststream",
    module="faststream_chain",
    guarantees_not="an order whose message is lost, or delivered twice, stops half done; nothing finds it again",
    queues=tuple(f"bench.faststream.{step}" for step in _STEPS),
    worker=("-m", "bench.contenders.faststream_chain", "{service}"),
)

DBOS = _OnDbos(
    name="dbos",
    module="dbos_workflow",
    guarantees_not="as used here: an order whose API dies between its row and its workflow waits for ever",
)

DBOS_STEPS = _OnDbos(
    name="dbos-steps",
    module="dbos_steps",
    guarantees_not="as dbos; and a step may run twice: that it has one effect is left to the SQL",
)

BARE_FLASK = _IntakeOnly(
    name="bare-flask",
    module="bare_flask",
    guarantees_not="anything: no token, no checks, no idempotency, and nothing happens to the order",
    intake_only=True,
)


def everybody() -> list[_Shop]:
    """Return the contenders in the order of the tables."""
    return [NAIVE_CELERY, FASTSTREAM, DBOS, DBOS_STEPS, BARE_FLASK]
