"""How every service's migrations run: online, in one transaction each, never waiting long for a lock."""

import sqlalchemy
from alembic import context

from shared_events import environment


def run() -> None:
    """Bring the database of ORDERFLOW_DATABASE_URL to the wanted revision.

    An advisory lock lets one of several migrators work; the others then find nothing to do.
    """
    url = environment.load_or_exit(lambda: environment.url("ORDERFLOW_DATABASE_URL", "postgresql"))
    engine = sqlalchemy.create_engine(sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        connection.exec_driver_sql("SET lock_timeout = '5s'")
        connection.exec_driver_sql("SET statement_timeout = '60s'")
        connection.exec_driver_sql("SELECT pg_advisory_lock(hashtext('orderflow.migrations'))")
        connection.commit()
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")
        connection.commit()
