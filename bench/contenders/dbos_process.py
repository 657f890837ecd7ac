"""DBOS in the API's own process, as both of its contenders have it."""

from collections.abc import Callable

from dbos import DBOS, DBOSConfig, SetWorkflowID
from flask import Flask

from bench.contenders import api, databases
from bench.contenders.shop import Order
from shared_events import environment

THREADS = 8
"""How many workflows run at once: more only wait for each other."""


def url(database: str) -> str:
    """Return the URL of another database on the server of this process."""
    return databases.beside(environment.text("ORDERFLOW_DATABASE_URL"), database)


def launch(contender: str) -> None:
    """Start DBOS in this process; it makes its tables where they are missing."""
    config: DBOSConfig = {
        "name": contender,
        "application_version": "1",
        "system_database_url": url(databases.system(contender)),
        "sys_db_pool_size": 2 * THREADS,
        "max_executor_threads": THREADS,
        "use_listen_notify": False,  # nobody waits for a workflow's result
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()


def api_of(workflow: Callable[[Order], None]) -> Flask:
    """Return an API that starts a workflow of its own for each order."""

    def begin(order: Order) -> None:
        with SetWorkflowID(order["id"]):
            DBOS.start_workflow(workflow, order)

    return api.create(begin)
