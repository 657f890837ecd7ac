"""Makes the servers ready for Loyalty, as an administrator: database, RabbitMQ user and queues, Redis user.

The same code as for the four services, given the name of a fifth.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy
from alembic.migration import MigrationContext
from alembic.operations import Operations

from examples.loyalty.handlers import handlers
from examples.loyalty.tables import TABLE
from migrations.messaging_v1 import create_messaging_tables
from orderflow_cli.provision import DEPLOY, import_definitions, provision_postgres, provision_redis
from shared_events.topology import definitions, work_queue

NAME = "loyalty"


def provision(*, postgres_url: str, rabbitmq_url: str, redis_url: str, passwords: Mapping[str, str]) -> None:
    """Make all three ready; `passwords` has one for `loyalty` and one for `loyalty_audit`."""
    provision_postgres(postgres_url, passwords, DEPLOY / "postgres" / "roles.sql", services=[NAME])
    import_definitions(rabbitmq_url, passwords, rabbitmq_definitions())
    provision_redis(redis_url, passwords, services=[NAME])


def rabbitmq_definitions() -> dict[str, Any]:
    """Return what Loyalty adds to RabbitMQ: its user, queues, bindings and permissions."""
    document = definitions({work_queue(NAME): [handler.contract for handler in handlers]})
    document["users"] = [user for user in document["users"] if user["name"] == NAME]
    return document


def create_tables(database_url: str) -> None:
    """Make Loyalty's tables: those of messaging, and its own."""
    url = sqlalchemy.make_url(database_url).set(drivername="postgresql+psycopg")
    with sqlalchemy.create_engine(url).begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            create_messaging_tables()
        connection.exec_driver_sql(TABLE)
