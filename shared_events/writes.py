"""Writes that leave together: many statements as one, because the way to the server costs more than the rows.

Each statement becomes a data-modifying part of one `WITH` (PostgreSQL runs all of them, on the same snapshot):
none sees what another writes, so they must not change the same row.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection

from shared_events.statements import run

Values = dict[str, Any]
_NOTHING = "SELECT 1"


def over_rows(columns: str, statement: str) -> str:
    """Return a statement that reads the rows of `as_rows`, as `new (column type, …)`, where it says `{rows}`."""
    return statement.replace("{rows}", f"json_to_recordset(%(rows)s::json) AS new ({columns})")


def as_rows(rows: Sequence[Values]) -> Values:
    """Return the parameters that carry these rows: one JSON text, far cheaper to make than arrays."""
    return {"rows": msgspec.json.encode(rows).decode()}


class Writes:
    """Statements of one transaction that wait to be sent, in SQL with `%(name)s` parameters.

    `last` is sent with them, at the end.
    """

    def __init__(self) -> None:
        self._rows: dict[str, list[Values]] = {}
        self._others: list[tuple[str, Values]] = []
        self.last = _NOTHING

    def add(self, statement: str, values: Values) -> None:
        """Take in an INSERT, UPDATE or DELETE without a `WITH` of its own."""
        self._others.append((statement, values))

    def add_rows(self, statement: str, rows: Iterable[Values]) -> None:
        """Take in such a statement over rows (`over_rows`); rows of the same statement leave as one."""
        self._rows.setdefault(statement, []).extend(rows)

    def send(self, connection: Connection) -> None:
        """Send all that wait, in one round trip; raises what the first to fail raises."""
        waiting = [*((statement, as_rows(rows)) for statement, rows in self._rows.items()), *self._others]
        self._rows, self._others = {}, []
        if not waiting:
            return
        values = {
            f"w{place}_{name}": value
            for place, (_, values) in enumerate(waiting)
            for name, value in values.items()
        }
        run(connection, _together(tuple(statement for statement, _ in waiting), self.last), values)


def joined(many: Iterable[Writes]) -> Writes:
    """Return what all of these would send, as one. They must not change the same row."""
    all_of_them = Writes()
    for each in many:
        for statement, rows in each._rows.items():
            all_of_them.add_rows(statement, rows)
        all_of_them._others += each._others
        if each.last != _NOTHING:
            all_of_them.last = each.last
    return all_of_them


@cache
def _together(statements: tuple[str, ...], last: str) -> str:
    """Return one statement that runs all of these; the parameters of the n-th get the prefix `w<n>_`."""
    parts = [
        f"w{place} AS ({statement.replace('%(', f'%(w{place}_')})"
        for place, statement in enumerate(statements)
    ]
    return f"WITH {', '.join(parts)} {last}"
