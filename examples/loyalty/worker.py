"""`celery -A examples.loyalty.worker worker`."""

from examples.loyalty.handlers import handlers
from examples.loyalty.tables import LoyaltyWork
from shared_events.worker import service_worker

app = service_worker(handlers, LoyaltyWork)
