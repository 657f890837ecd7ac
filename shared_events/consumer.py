"""A service's Celery worker: every setting that keeps messages safe, in code and not in flags.

Celery's own way loses a handler's exception, an undecodable body or a hard time limit (they are acknowledged).
Here nothing takes that way: each delivery, readable or not, goes to `Batches`, from there to a pool
process, and is acknowledged only after its verdict (see `runtime`).
"""

import gc
import json
import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from celery import Celery, bootsteps
from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher
from celery.signals import celeryd_init, setup_logging, worker_before_create_process, worker_shutting_down
from celery.worker.consumer import Consumer
from kombu.entity import Exchange, Queue, binding

from shared_events import environment, probes
from shared_events.batches import Batches
from shared_events.delivery import Delivery
from shared_events.handlers import Handlers
from shared_events.outbox import MESSAGES
from shared_events.properties import read_any_properties
from shared_events.runtime import Runtime, Verdict
from shared_events.settings import time_limits
from shared_events.topology import WorkQueue, bindings
from shared_events.vitals import VITALS

log = logging.getLogger(__name__)
_EVENTS_EVERY_S = 0.3
_EVENTS_AT_ONCE = 200
_NOT_WANTED = ("Gossip", "DelayedDelivery", "Control")


def worker_app(
    queue: WorkQueue,
    handlers: Handlers,
    runtime: Callable[[], Runtime],
    *,
    broker_url: str,
    batch_size: int = 50,
) -> Celery:
    """Return the Celery app whose worker consumes `queue`: one task per handler, named by its message type.

    `runtime` is called once in each pool process, after the fork. A bad setting ends the process with status 2.
    """
    limits_s = environment.load_or_exit(time_limits)
    read_any_properties()
    app = Celery(queue.name, broker=broker_url, events=_Events, set_as_current=True)
    app.conf.update(_SETTINGS)
    app.conf.update(
        task_queues=[_queue(queue, handlers)],
        task_default_queue=queue.name,
        task_default_exchange=queue.exchange,
        task_default_routing_key=queue.returns_by,
        worker_prefetch_multiplier=2 * batch_size,
    )
    app.batch_size, app.limits_s = batch_size, limits_s
    app.steps["consumer"].add(_Vital)
    _pool_side.prepare(runtime)
    for handler in handlers:
        _register(app, handler.contract.type)
    return app


_SETTINGS = {
    "worker_consumer": "shared_events.consumer:StrictConsumer",
    "worker_send_task_events": True,
    "worker_enable_remote_control": False,
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "worker_hijack_root_logger": False,
    "worker_lost_wait": 0.5,
    "task_default_exchange_type": "topic",
    "task_create_missing_queues": False,
    "task_acks_late": True,
    "task_acks_on_failure": False,
    "task_acks_on_timeout": False,
    "task_reject_on_worker_lost": True,
    "task_ignore_result": True,
    "accept_content": ["json"],
    "broker_heartbeat": 20,
    "broker_connection_timeout": 3,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_channel_error_retry": True,
    "broker_transport_options": {"read_timeout": 10, "write_timeout": 10},
}


def _queue(queue: WorkQueue, handlers: Handlers) -> Queue:
    """Return the work queue; its limits and dead-lettering are set by policy, so that they can be changed."""
    exchanges = {
        MESSAGES: Exchange(MESSAGES, "topic", no_declare=True),  # owned by the platform
        queue.exchange: Exchange(queue.exchange, "topic"),
    }
    keys = bindings(queue, (handler.contract for handler in handlers))
    return Queue(
        queue.name,
        bindings=[binding(exchanges[source], routing_key=key) for source, key in keys],
        queue_arguments={"x-queue-type": "quorum"},
    )


def _register(app: Celery, message_type: str) -> None:
    def consume(*_: Any) -> None:
        """Stand in the task table; deliveries reach the handler through Batches, never through here."""
        raise RuntimeError(f"{message_type} is consumed in batches by the worker")

    app.task(name=message_type)(consume)


class _PoolSide:
    """What a pool process keeps between batches. Made after the fork, so that no connection is shared."""

    def __init__(self) -> None:
        self._make: Callable[[], Runtime] | None = None
        self._runtime: tuple[int, Runtime] | None = None

    def prepare(self, make: Callable[[], Runtime]) -> None:
        self._make = make

    @property
    def runtime(self) -> Runtime:
        if self._runtime is None or self._runtime[0] != os.getpid():
            if self._make is None:
                raise RuntimeError("no worker app was made in this process")
            self._runtime = (os.getpid(), self._make())
        return self._runtime[1]


_pool_side = _PoolSide()


def run_batch(deliveries: Sequence[Delivery], alone: bool) -> list[Verdict]:
    """Handle a batch in a pool process."""
    if alone:
        return _pool_side.runtime.handle_alone(deliveries[0])
    return _pool_side.runtime.handle(deliveries)


class StrictConsumer(Consumer):  # type: ignore[misc]
    """Celery's consumer with one way for every delivery, and no remote control, gossip or mingle."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        """The steps of a broker connection, without those that talk to other workers."""

        default_steps = [  # noqa: RUF012  Celery's own attribute
            step for step in Consumer.Blueprint.default_steps if not step.endswith(_NOT_WANTED)
        ]

    def __init__(self, *arguments: Any, worker_options: dict[str, Any] | None = None, **options: Any) -> None:
        quiet = {**(worker_options or {}), "without_mingle": True, "without_gossip": True}
        super().__init__(*arguments, worker_options=quiet, **options)
        self._events_are_due = False

    def create_task_handler(self, *_: Any) -> Callable[[Any], None]:
        """Return what takes each delivery of this connection."""
        self._batches = Batches(self, run_batch, self.app.batch_size, self.app.limits_s)
        self.task_consumer.channel.auto_decode = False  # bodies stay the bytes that they are
        take: Callable[[Any], None] = self._batches.take
        return take

    def on_close(self) -> None:
        """Part with the connection, but not with what a pool process was handed.

        Celery forgets a job whose process has not yet said that it took it: its messages would come back although
        they are handled, and a stop would wait 30 s for a result that nobody reads.
        """
        for job in self.pool._pool._cache.values():
            job._accepted |= job._write_to is not None
        super().on_close()

    def on_send_event_buffered(self) -> None:
        """Send what Flower is told a few times a second, together (Celery would at each turn of its loop)."""
        if not self._events_are_due:
            self._events_are_due = True
            self.timer.call_after(_EVENTS_EVERY_S, self._send_events)

    def _send_events(self) -> None:
        self._events_are_due = False
        self._flush_events()

    def on_decode_error(self, message: Any, _error: Exception) -> None:
        """Take what kombu cannot make sense of like everything else (Celery would acknowledge it away)."""
        self._batches.take(message)

    def ensure_connected(self, connection: Any) -> Any:
        """Wait for the broker as long as it takes, alive all the while, and come back within 3 s of it."""

        def on_error(error: Exception, interval: float) -> None:
            log.warning("no broker (%s); next try in %.1f s", error, interval)

        return connection.ensure_connection(
            on_error, None, interval_start=0.5, interval_step=0.5, interval_max=3, callback=_still_waiting
        )


def _still_waiting() -> None:
    from celery.worker.state import maybe_shutdown

    VITALS.beat()
    maybe_shutdown()


class _Events(Events):  # type: ignore[misc]
    dispatcher_cls = "shared_events.consumer:_Dispatcher"


class _Dispatcher(EventDispatcher):  # type: ignore[misc]
    """Publishes to `celeryev` without declaring it: no service may configure what all share."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, buffer_limit=_EVENTS_AT_ONCE, **options)

    def _publish(self, event: Any, producer: Any, routing_key: str, **_: Any) -> None:
        """Publish one event or many, encoded by msgspec: Celery's way took much of this process's time."""
        if producer is None:
            return
        try:
            producer.publish(
                _as_json(event),
                routing_key=routing_key,
                exchange=self.exchange.name,
                content_type="application/json",
                content_encoding="utf-8",
                headers=self.headers,
                delivery_mode=self.delivery_mode,
            )
        except Exception:
            if not self.buffer_while_offline:
                raise
            self._outbound_buffer.append((event, routing_key))


def _as_json(event: Any) -> bytes:
    try:
        return msgspec.json.encode(event)
    except (UnicodeEncodeError, TypeError):  # half a surrogate pair, or worse, quoted from somebody's message
        return json.dumps(event, default=str, ensure_ascii=False).encode("utf-8", "replace")


class _Vital(bootsteps.StartStopStep):  # type: ignore[misc]
    """Ready while this connection consumes; alive while the main loop turns."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **_: Any) -> None:
        super().__init__(consumer)
        self._timers: list[Any] = []

    def start(self, consumer: Any) -> None:
        VITALS.beat()
        VITALS.ready = True
        self._timers = [
            consumer.timer.call_repeatedly(2.0, VITALS.beat, priority=10),
            # Celery looks every five seconds; what a dead process held should go on sooner.
            consumer.timer.call_repeatedly(0.5, consumer.pool.maintain_pool),
        ]

    def stop(self, _consumer: Any) -> None:
        VITALS.ready = False
        while self._timers:
            self._timers.pop().cancel()

    shutdown = stop


@celeryd_init.connect  # type: ignore[untyped-decorator]
def _name_the_node(instance: Any, **_: Any) -> None:
    """Give each worker a name of its own: two of one name would be one in Flower."""
    name = environment.text("ORDERFLOW_PROCESS_NAME", f"{instance.app.main}-worker-{os.getpid()}")
    instance.hostname = f"{name}@{socket.gethostname()}"
    environment.load_or_exit(lambda: probes.serve(VITALS))


@worker_before_create_process.connect  # type: ignore[untyped-decorator]
def _share_memory(**_: Any) -> None:
    """Take what is loaded out of the garbage collector's sight, so that pool processes go on sharing it."""
    gc.collect()
    gc.freeze()


@setup_logging.connect  # type: ignore[untyped-decorator]
def _keep_our_logging(**_: Any) -> None:
    """Stop Celery from configuring logging: `logs.configure` did."""


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _not_ready(**_: Any) -> None:
    VITALS.ready = False
