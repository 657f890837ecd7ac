"""Writes that leave together: many statements as one, because the way to the server costs more than the rows.

Each statement becomes a data-modifying part of one `WITH` (PostgreSQL runs all of them, on the same snapshot):
none sees what another writes, so they must not change the same row.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection

from shared_events.statements import run

Values = dict[str, Any]


def over_rows(columns: str, statement: str) -> str:
    """Return a statement that reads the rows of `as_rows`, as `new (column type, …)`, where it says `{rows}`."""
    return statement.replace("{rows}", f"json_to_recordset(%(rows)s::json) AS new ({columns})")


def as_rows(rows: Sequence[Values]) -> Values:
    """Return the parameters that carry these rows: one JSON text, far cheaper to make than arrays."""
    return {"rows": msgspec.json.encode(rows).decode()}


class Writes:
    """Statements of one transaction that wait to be sent, in SQL with `%(name)s` parameters."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, Values]] = []

    def add(self, statement: str, values: Values) -> None:
        """Take in an INSERT, UPDATE or DELETE without a `WITH` of its own."""
        self._waiting.append((statement, values))

    def send(self, connection: Connection, last: str = "SELECT 1") -> None:
        """Send all that wait, in one round trip, and `last` with them; raises what the first to fail raises."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        values = {
            f"w{place}_{name}": value
            for place, (_, values) in enumerate(waiting)
            for name, value in values.items()
        }
        run(connection, _together(tuple(statement for statement, _ in waiting), last), values)


@cache
def _together(statements: tuple[str, ...], last: str) -> str:
    """Return one statement that runs all of these; the parameters of the n-th get the prefix `w<n>_`."""
    parts = [
        f"w{place} AS ({statement.replace('%(', f'%(w{place}_')})"
        for place, statement in enumerate(statements)
    ]
    return f"WITH {', '.join(parts)} {last}"
