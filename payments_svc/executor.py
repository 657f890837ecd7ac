"""`celery -A payments_svc.executor worker`: takes what needs a call to the provider, and makes the call.

A worker of its own, with its own concurrency and queue: however slow the provider is, voids are taken.
"""

from celery import Celery
from celery.signals import worker_process_shutdown

from payments_svc.breaker import Breaker
from payments_svc.calls import AT_ONCE, Calls
from payments_svc.handlers import calls
from payments_svc.settings import payment_provider
from shared_events import database, environment, logs
from shared_events.consumer import worker_app
from shared_events.runtime import Runtime
from shared_events.settings import Servers, retry_tiers
from shared_events.topology import PAYMENT_CALLS
from shared_events.worker import make_runtime

NAME = "payments-executor"


def executor() -> Celery:
    """Return the Celery app, configured from the environment; a bad setting ends the process with status 2."""
    servers, tiers_s, _ = environment.load_or_exit(
        lambda: (Servers.load(), retry_tiers(), payment_provider())
    )
    environment.load_or_exit(lambda: logs.configure(NAME))

    def runtime() -> Runtime:
        # One connection for batches, one for the results that come after them.
        engine = database.engine(servers.database_url, pool_size=2, process=NAME, keyed=True)
        effect = Calls(engine, payment_provider(), Breaker(servers.redis_url))
        worker_process_shutdown.connect(lambda **_: effect.finish(), weak=False)
        return make_runtime(PAYMENT_CALLS, effect, servers, tiers_s)

    return worker_app(PAYMENT_CALLS, calls, runtime, broker_url=servers.broker_url, batch_size=AT_ONCE)


app = executor()
