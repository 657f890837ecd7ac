"""Orders' worker: `celery -A orders_svc.worker worker`."""

import logging
import threading
import time
from typing import Any

from celery.signals import worker_ready

from orders_svc.handlers import first_sweep, handlers
from orders_svc.settings import Settings
from orders_svc.tables import OrdersWork
from shared_events import database
from shared_events.environment import load_or_exit
from shared_events.settings import Servers
from shared_events.worker import service_worker

log = logging.getLogger(__name__)
app = service_worker(handlers(load_or_exit(Settings.load).deadlines), OrdersWork)


REARM_S, RETRY_S = 600.0, 5.0


@worker_ready.connect  # type: ignore[untyped-decorator]
def _keep_sweeping(**_: Any) -> None:
    """See, beside the main loop, that the sweeper's timer is set."""
    threading.Thread(target=_arm, name="sweeper", daemon=True).start()


def _arm() -> None:
    """Set the timer now and then. Each sweep sets the next; this is for the case that one became a dead letter."""
    engine = database.engine(Servers.load().database_url, pool_size=1, process="orders-worker")
    while True:
        try:
            with database.transaction(engine, OrdersWork) as work:
                work.emit(first_sweep())
            pause_s = REARM_S
        except database.LOST as error:
            log.warning("the sweeper waits for the database: %s", error)
            pause_s = RETRY_S
        engine.dispose()
        time.sleep(pause_s)
