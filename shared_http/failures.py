"""Every way a request can fail, as a problem document."""

import logging
from dataclasses import replace
from typing import Any

import msgspec
from flask import Flask, Response
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from shared_events import trace
from shared_http import problems
from shared_http.problems import Problem

CONTENT_TYPE = "application/problem+json"
_NOT_OURS = {"Content-Type", "Content-Length"}

_log = logging.getLogger(__name__)


def register_failures(app: Flask) -> None:
    """Answer every error of this application with a problem document."""
    app.register_error_handler(Problem, render)
    app.register_error_handler(HTTPException, _http)
    for away in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(away, _database_away)
    app.register_error_handler(DataError, _unstorable)
    app.register_error_handler(Exception, _unexpected)


def render(problem: Problem) -> Response:
    """Return the answer that tells a problem."""
    document = problem.document(trace.trace_id(trace.current() or trace.new()))
    body = msgspec.json.encode(document)
    answer = Response(body, problem.kind.status, content_type=CONTENT_TYPE)
    answer.headers.update(problem.headers)
    return answer


def _http(error: HTTPException) -> Any:
    """Answer an error of Flask or a library; its own headers (Allow, Retry-After, …) are kept."""
    status = error.code or 500
    if status < 400:
        return _redirect_or_not_modified(error)
    kind = problems.BY_STATUS.get(status)
    if kind is None:
        nearest = problems.BAD_REQUEST if status < 500 else problems.INTERNAL_ERROR
        kind = replace(nearest, status=status, title=error.name)
    headers = {name: value for name, value in error.get_headers() if name not in _NOT_OURS}
    return render(Problem(kind, headers=headers))


def _redirect_or_not_modified(error: HTTPException) -> Any:
    answer = error.get_response()
    if error.code == 304:
        answer.data = b""
        answer.headers.pop("Content-Type", None)
        answer.set_etag(getattr(error, "etag", ""))
    return answer


def _database_away(error: Exception) -> Response:
    _log.warning("the database is away: %s", error.__cause__ or error)
    return render(Problem(problems.DATABASE_UNAVAILABLE, headers={"Retry-After": "2"}))


def _unstorable(error: Exception) -> Response:
    """Answer a value that PostgreSQL refuses although the schema let it pass, and log that it did."""
    _log.error("a value passed its schema and was refused by the database: %s", error.__cause__ or error)
    return render(Problem(problems.INVALID_REQUEST, "A value is outside of what can be stored"))


def _unexpected(error: Exception) -> Response:
    _log.error("unhandled exception", exc_info=error)
    return render(Problem(problems.INTERNAL_ERROR))
