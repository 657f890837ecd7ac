"""The wiring of a worker process that every service shares."""

from collections.abc import Callable

from celery import Celery
from redis import Redis
from sqlalchemy import Connection

from shared_events import contracts as _contracts  # noqa: F401  registers every contract
from shared_events import database, environment, logs
from shared_events.consumer import worker_app
from shared_events.crash_guard import CrashGuard
from shared_events.effect import Effect, Transaction
from shared_events.handlers import Handlers
from shared_events.publisher import Publisher
from shared_events.runtime import Runtime
from shared_events.settings import Servers, retry_tiers
from shared_events.topology import WorkQueue, work_queue
from shared_events.work import UnitOfWork


def service_worker(handlers: Handlers, work: Callable[[Connection], UnitOfWork]) -> Celery:
    """Return the Celery app of a service's worker, configured from the environment.

    A bad setting prints one line and ends the process with status 2.
    """
    servers, tiers_s = environment.load_or_exit(lambda: (Servers.load(), retry_tiers()))
    environment.load_or_exit(lambda: logs.configure(f"{handlers.service}-worker"))
    queue = work_queue(handlers.service)

    def runtime() -> Runtime:
        engine = database.engine(
            servers.database_url, pool_size=1, process=f"{handlers.service}-worker", keyed=True
        )
        return make_runtime(queue, Transaction(engine, handlers, work), servers, tiers_s)

    return worker_app(queue, handlers, runtime, broker_url=servers.broker_url)


def make_runtime(queue: WorkQueue, effect: Effect, servers: Servers, tiers_s: tuple[int, ...]) -> Runtime:
    """Return what handles deliveries in one pool process."""
    redis = Redis.from_url(servers.redis_url, socket_timeout=0.5, socket_connect_timeout=0.5)
    guard = CrashGuard(redis, queue.service)
    return Runtime(queue, effect, Publisher(servers.broker_url), guard, tiers_s)
