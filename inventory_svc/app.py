"""The WSGI application of Inventory: `granian --interface wsgi --factory inventory_svc.app:create_app`."""

from flask import Flask

from inventory_svc.api import blp
from inventory_svc.healing import heal
from inventory_svc.settings import Settings
from inventory_svc.tables import MIGRATION_HEAD
from shared_events import database, environment, logs
from shared_http.application import create_api
from shared_http.healing import healing_route
from shared_http.ops import ops_routes


def create_app() -> Flask:
    """Return the application, configured from the environment; a bad setting ends the process."""
    environment.load_or_exit(lambda: logs.configure("inventory-api"))
    its = environment.load_or_exit(Settings.load).http
    engine = database.engine(its.servers.database_url, pool_size=its.request_threads, process="inventory-api")
    return create_api(
        "inventory",
        settings=its,
        engine=engine,
        blueprints=[blp, ops_routes("inventory"), healing_route("inventory", heal)],
        migration_head=MIGRATION_HEAD,
    )
