"""`python -m shared_events.relay`: the relay, the dead-letter collector, pruning and the probes, a thread each."""

import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from prometheus_client import REGISTRY

from shared_events import contracts as _contracts  # noqa: F401  registers every contract
from shared_events import database, environment, logs, probes, pruning
from shared_events.collector import Collector
from shared_events.gauges import DatabaseGauges, QueueGauges
from shared_events.publisher import Publisher, user_of
from shared_events.relay import Relay
from shared_events.topology import TIERS_S, work_queue
from shared_events.vitals import VITALS

log = logging.getLogger(__name__)


def run() -> None:
    """Relay for the service whose user the broker address names, until SIGTERM or SIGINT."""
    database_url, broker_url = environment.load_or_exit(_servers)
    service = user_of(broker_url)
    environment.load_or_exit(lambda: logs.configure(f"{service}-relay"))
    engine = database.engine(database_url, pool_size=4, process=f"{service}-relay")
    quick = database.engine(database_url, pool_size=2, process=f"{service}-relay", durable=False, keyed=True)
    queue = work_queue(service)
    REGISTRY.register(DatabaseGauges(engine))
    REGISTRY.register(
        QueueGauges(broker_url, [queue.name, queue.dead, *(queue.tier(seconds) for seconds in TIERS_S)])
    )
    environment.load_or_exit(lambda: probes.serve(VITALS))
    stop = threading.Event()
    _stop_on_signals(stop)
    threads = [
        _start("collector", lambda: Collector(service, engine, broker_url).run(stop)),
        _start("pruning", lambda: pruning.run(engine, stop)),
    ]
    VITALS.ready = True
    with Publisher(broker_url) as publisher:
        Relay(service, quick, publisher).run(stop)
    VITALS.ready = False
    for thread in threads:
        thread.join(timeout=5)


def _servers() -> tuple[str, str]:
    broker_url = environment.url("ORDERFLOW_BROKER_URL", "amqp", "amqps")
    if not user_of(broker_url):
        raise environment.BadSetting("ORDERFLOW_BROKER_URL names no user: it is the service's name")
    return environment.url("ORDERFLOW_DATABASE_URL", "postgresql"), broker_url


def _start(name: str, run: Callable[[], None]) -> threading.Thread:
    """Run in a thread; an error that it does not expect ends the whole process, to be started afresh."""

    def run_or_die() -> None:
        try:
            run()
        except BaseException:
            log.exception("the %s failed", name)
            os._exit(1)

    thread = threading.Thread(target=run_or_die, name=name, daemon=True)
    thread.start()
    return thread


def _stop_on_signals(stop: threading.Event) -> None:
    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)


if __name__ == "__main__":
    run()
