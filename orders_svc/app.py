"""The WSGI application of Orders: `granian --interface wsgi --factory orders_svc.app:create_app`."""

from flask import Flask

from orders_svc.api import blp
from orders_svc.gauges import OpenOrders
from orders_svc.healing import healer
from orders_svc.intake import Door
from orders_svc.saga import checkout
from orders_svc.settings import Settings
from orders_svc.tables import MIGRATION_HEAD
from shared_events import database, environment, logs
from shared_events.spare import Spare
from shared_http import metrics
from shared_http.application import create_api
from shared_http.healing import healing_route
from shared_http.ops import ops_routes
from shared_http.settings import HttpSettings


def create_app() -> Flask:
    """Return the application; a bad setting prints one line and ends the process with status 2."""
    environment.load_or_exit(lambda: logs.configure("orders-api"))
    http, settings = environment.load_or_exit(lambda: (HttpSettings.load(), Settings.load()))
    engine, intake = (
        database.engine(
            http.servers.database_url, pool_size=http.request_threads, process="orders-api", keyed=is_keyed
        )
        for is_keyed in (False, True)
    )
    saga = checkout(settings.deadlines)
    metrics.add_collector(OpenOrders(engine))
    return create_api(
        "orders",
        settings=http,
        engine=engine,
        blueprints=[blp, ops_routes("orders"), healing_route("orders", healer(saga))],
        migration_head=MIGRATION_HEAD,
        config={
            "CHECKOUT": saga,
            "SPARE": Spare(intake),
            "DOOR": Door(settings.max_outbox_rows),
        },
    )
