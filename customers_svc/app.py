"""The WSGI application of Customers: `granian --interface wsgi --factory customers_svc.app:create_app`."""

from flask import Flask

from customers_svc.api import blp
from customers_svc.settings import Settings
from customers_svc.tables import MIGRATION_HEAD
from shared_events import database, environment, logs
from shared_http.application import create_api
from shared_http.ops import ops_routes


def create_app() -> Flask:
    """Return the application, configured from the environment; a bad setting ends the process."""
    environment.load_or_exit(lambda: logs.configure("customers-api"))
    settings = environment.load_or_exit(Settings.load)
    its = settings.http
    engine = database.engine(its.servers.database_url, pool_size=its.request_threads, process="customers-api")
    return create_api(
        "customers",
        settings=its,
        engine=engine,
        blueprints=[blp, ops_routes("customers")],
        migration_head=MIGRATION_HEAD,
        config=settings.as_config(),
    )
