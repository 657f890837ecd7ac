"""Orders' worker: `celery -A orders_svc.worker worker`."""

from orders_svc.handlers import handlers
from orders_svc.settings import Settings
from orders_svc.tables import OrdersWork
from shared_events.environment import load_or_exit
from shared_events.worker import service_worker

app = service_worker(handlers(load_or_exit(Settings.load).deadlines), OrdersWork)
