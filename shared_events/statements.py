"""Statements on the hot paths, given to the driver directly: SQLAlchemy's layers cost more than the rows."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


def run(connection: Connection, statement: str, values: Mapping[str, Any] | None = None) -> list[Any]:
    """Run a statement with `%(name)s` parameters in the connection's transaction; return its rows, if it has any.

    Rows are named tuples. Raises what SQLAlchemy would: a subclass of DBAPIError, and the connection is given up
    if the server is gone.
    """
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor(row_factory=namedtuple_row) as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.rownumber is not None else []
    except psycopg.Error as error:
        lost = bool(driver.broken or driver.closed)
        if lost:
            connection.invalidate(error)
            connection.engine.dispose()  # the others of its pool are as old, and as dead
        raise DBAPIError.instance(
            statement, None, error, psycopg.Error, hide_parameters=True, connection_invalidated=lost,
            dialect=connection.dialect,
        ) from error  # fmt: skip
