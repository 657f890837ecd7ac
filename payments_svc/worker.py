"""`celery -A payments_svc.worker worker`: takes voids, at once: it never calls the provider."""

from payments_svc.handlers import handlers
from payments_svc.tables import PaymentsWork
from shared_events.worker import service_worker

app = service_worker(handlers, PaymentsWork)
