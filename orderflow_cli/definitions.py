"""Writes deploy/rabbitmq/definitions.json from the contracts and the handler tables.

`python -m orderflow_cli.definitions` prints the document; a test compares it with the file.
"""

import json
import sys
from collections.abc import Iterable

from shared_events.contract import Contract
from shared_events.handlers import Handlers
from shared_events.topology import PAYMENT_CALLS, WorkQueue, definitions, work_queue


def handler_tables() -> dict[WorkQueue, Handlers]:
    """Return every work queue of the system with the handler table of its worker."""
    import customers_svc.handlers
    import inventory_svc.handlers
    import orders_svc.handlers
    import payments_svc.handlers
    from orders_svc.saga import Deadlines

    return {
        work_queue("orders"): orders_svc.handlers.handlers(Deadlines()),
        work_queue("inventory"): inventory_svc.handlers.handlers,
        work_queue("customers"): customers_svc.handlers.handlers,
        work_queue("payments"): payments_svc.handlers.handlers,
        PAYMENT_CALLS: payments_svc.handlers.calls,
    }


def document() -> str:
    """Return the definitions document as it must stand in the repository."""
    queues: dict[WorkQueue, Iterable[Contract]] = {
        queue: [handler.contract for handler in table] for queue, table in handler_tables().items()
    }
    return json.dumps(definitions(queues), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
