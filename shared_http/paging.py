"""Lists page by page: `?limit=&cursor=`, body `{items, next_cursor}`, and a `Link` to the next page.

A page begins after the last key of the one before (keyset), so it costs the same at any depth and nothing is
shown twice or left out when rows are added. A cursor is opaque: the last key, in an envelope that is checked.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from flask import request
from marshmallow import Schema, fields, validate
from sqlalchemy import Column, Connection, Row, Select, literal, tuple_

from shared_http import problems
from shared_http.problems import Problem, at_parameter

UNKNOWN_CURSOR = problems.register(
    "unknown-cursor",
    422,
    "The cursor is not one of this list",
    "Take `cursor` from `next_cursor` of an earlier page of the same list, unchanged, or leave it out.",
)


class PageArguments(Schema):
    """The query parameters of every list; a list's own filters are added by a subclass."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))
    cursor = fields.String(load_default=None, validate=validate.Length(1, 1000))


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list, and where the next page begins."""

    rows: Sequence[Row[Any]]
    next_cursor: str | None

    def answer(self, items: Sequence[Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
        """Return body, status and headers; `items` are the rows as they are shown."""
        return {"items": items, "next_cursor": self.next_cursor}, 200, self._link()

    def _link(self) -> dict[str, str]:
        if self.next_cursor is None:
            return {}
        query = [(name, value) for name, value in request.args.items(multi=True) if name != "cursor"]
        address = f"{request.path}?{urlencode([*query, ('cursor', self.next_cursor)])}"
        return {"Link": f'<{address}>; rel="next"'}


def page_of(item: type[Schema]) -> type[Schema]:
    """Return the schema of a page of such items."""
    name = f"{item.__name__.removesuffix('Schema')}PageSchema"
    members = {
        "items": fields.List(fields.Nested(item), required=True),
        "next_cursor": fields.String(required=True, allow_none=True),
        "__doc__": "One page of a list; `next_cursor` is null on the last.",
    }
    return type(name, (Schema,), members)


def fetch_page(
    connection: Connection,
    statement: Select[Any],
    by: Sequence[Column[Any]],
    *,
    limit: int,
    cursor: str | None,
    newest_first: bool = True,
) -> Page:
    """Return one page of a query, ordered by these columns.

    The columns must be selected, never null, and together unique; all ascend, or all descend.
    """
    if cursor is not None:
        key = zip(by, key_in(cursor, by), strict=True)
        last = tuple_(*(literal(value, column.type) for column, value in key))
        statement = statement.where(tuple_(*by) < last if newest_first else tuple_(*by) > last)
    order = [column.desc() if newest_first else column.asc() for column in by]
    rows = connection.execute(statement.order_by(*order).limit(limit + 1)).all()
    return cut(rows, by, limit)


def cut(rows: Sequence[Row[Any]], by: Sequence[Column[Any]], limit: int) -> Page:
    """Return a page of the first `limit` rows; one row more than that says that there is a next page."""
    return Page(rows[:limit], _seal(rows[limit - 1], by) if len(rows) > limit else None)


def _seal(row: Row[Any], by: Sequence[Column[Any]]) -> str:
    """Return the cursor that stands behind this row."""
    key = {column.name: row._mapping[column] for column in by}
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode()


def key_in(cursor: str, by: Sequence[Column[Any]]) -> list[Any]:
    """Return the last key of the page before, out of a cursor. Raises Problem unless it fits this list."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        key = msgspec.json.decode(raw, type=dict[str, Any])
        if set(key) != {column.name for column in by}:
            raise ValueError("the key of another list")
        return [_value(key[column.name], column) for column in by]
    except (ValueError, UnicodeError, binascii.Error, msgspec.MsgspecError) as error:
        problem = at_parameter("cursor", "not a cursor of this list")
        raise Problem(UNKNOWN_CURSOR, errors=[problem]) from error


def _value(text: Any, column: Column[Any]) -> Any:
    wanted = column.type.python_type
    if wanted not in (datetime, UUID, str, int):
        raise TypeError(f"{column} cannot order a list")
    value = msgspec.convert(text, wanted)
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError("a time without a zone")
    if isinstance(value, str) and "\0" in value:
        raise ValueError("a text that cannot be stored")
    return value
