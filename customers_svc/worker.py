"""The Celery application of Customers: `celery -A customers_svc.worker worker`."""

from customers_svc.handlers import handlers
from customers_svc.tables import Customers
from shared_events.worker import service_worker

app = service_worker(handlers, Customers)
