"""Orders' worker: `celery -A orders_svc.worker worker`."""

import logging
import threading
import time
from typing import Any

from celery.signals import worker_ready
from sqlalchemy.exc import DBAPIError

from orders_svc.handlers import first_sweep, handlers
from orders_svc.settings import Settings
from orders_svc.tables import OrdersWork
from shared_events import database
from shared_events.environment import load_or_exit
from shared_events.settings import Servers
from shared_events.worker import service_worker

log = logging.getLogger(__name__)
app = service_worker(handlers(load_or_exit(Settings.load).deadlines), OrdersWork)


@worker_ready.connect  # type: ignore[untyped-decorator]
def _begin_to_sweep(**_: Any) -> None:
    """Set the sweeper's timer; each sweep sets the next. Beside the main loop: the database may be away."""
    threading.Thread(target=_set_timer, name="first-sweep", daemon=True).start()


def _set_timer() -> None:
    engine = database.engine(Servers.load().database_url, pool_size=1, process="orders-worker")
    while True:
        try:
            with database.transaction(engine, OrdersWork) as work:
                work.emit(first_sweep())
            break
        except DBAPIError as error:
            log.warning("the sweeper waits for the database: %s", error.orig)
            time.sleep(5.0)
    engine.dispose()
