"""The Celery application of Inventory: `celery -A inventory_svc.worker worker`."""

from inventory_svc.handlers import handlers
from inventory_svc.tables import InventoryWork
from shared_events.worker import service_worker

app = service_worker(handlers, InventoryWork)
