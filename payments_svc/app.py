"""The WSGI application of Payments: `granian --interface wsgi --factory payments_svc.app:create_app`."""

from flask import Flask

from payments_svc.api import blp
from payments_svc.breaker import Breaker
from payments_svc.gauges import BreakerState
from payments_svc.healing import heal
from payments_svc.settings import payment_provider
from payments_svc.tables import MIGRATION_HEAD
from shared_events import database, environment, logs
from shared_http import metrics
from shared_http.application import create_api
from shared_http.healing import healing_route
from shared_http.health import Check
from shared_http.ops import ops_routes
from shared_http.settings import HttpSettings


def create_app() -> Flask:
    """Return the application; a bad setting prints one line and ends the process with status 2."""
    environment.load_or_exit(lambda: logs.configure("payments-api"))
    http, provider = environment.load_or_exit(lambda: (HttpSettings.load(), payment_provider()))
    engine = database.engine(
        http.servers.database_url, pool_size=http.request_threads, process="payments-api"
    )
    breaker = Breaker(http.servers.redis_url)
    metrics.add_collector(BreakerState(breaker))
    return create_api(
        "payments",
        settings=http,
        engine=engine,
        blueprints=[blp, ops_routes("payments"), healing_route("payments", heal)],
        migration_head=MIGRATION_HEAD,
        checks=[
            Check("provider", lambda: provider.lookup("readiness")),
            Check("provider breaker", breaker.require_closed),
        ],
        config={"PROVIDER": provider},
    )
