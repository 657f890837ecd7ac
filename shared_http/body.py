"""Reading a request: the JSON body, once and strictly, and what a schema finds wrong with it."""

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, cast
from urllib.parse import quote

import marshmallow
import msgspec
import webargs
from flask import Request, g, request
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge

from shared_http import problems
from shared_http.problems import Problem

MAX_BODY = 1_048_576
DEEPEST = 64
_TOO_DEEP = f"The document is nested deeper than {DEEPEST} levels"


def read_json() -> Any:
    """Return the request's JSON body, decoded once a request.

    Raises Problem for another content type (415) and for anything that is not strictly JSON (400).
    """
    if "json_body" not in g:
        g.json_body = _decode(request)
    return g.json_body


def _decode(req: Request) -> Any:
    raw = req.get_data(cache=True)
    if req.content_length is None and len(raw) >= MAX_BODY:  # sent in chunks, and cut off at the limit
        raise RequestEntityTooLarge
    mimetype = req.mimetype
    if (raw or mimetype) and mimetype != "application/json" and not mimetype.endswith("+json"):
        raise Problem(problems.UNSUPPORTED_MEDIA_TYPE)
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(problems.MALFORMED_JSON, str(error)) from error
    except RecursionError as error:
        raise Problem(problems.MALFORMED_JSON, _TOO_DEEP) from error
    if b"\\u0000" in raw or raw.count(b"[") + raw.count(b"{") > DEEPEST:
        _refuse_nul_and_depth(value)
    return value


def _refuse_nul_and_depth(value: Any) -> None:
    """Refuse what is valid JSON but cannot be stored: U+0000 in a text, and too many levels."""
    wrong = []
    left: list[tuple[str, int, Any]] = [("#", 0, value)]
    while left:
        at, depth, inner = left.pop()
        if depth > DEEPEST:
            raise Problem(problems.MALFORMED_JSON, _TOO_DEEP)
        if isinstance(inner, list):
            left += [(f"{at}/{index}", depth + 1, each) for index, each in enumerate(inner)]
        elif isinstance(inner, dict):
            left += [(f"{at}/{_token(key)}", depth + 1, each) for key, each in inner.items()]
            left += [(at, depth + 1, key) for key in inner]
        elif isinstance(inner, str) and "\0" in inner:
            wrong.append(problems.at_body(at, "a text may not hold the character U+0000"))
    if wrong:
        raise Problem(problems.INVALID_REQUEST, errors=wrong)


def _token(name: object) -> str:
    """Return a name as one token of a JSON pointer inside a URI fragment."""
    return quote(str(name).replace("~", "~0").replace("/", "~1"), safe="~!$&'()*+,;=:@")


def errors_of(messages: Any, location: str) -> list[dict[str, str]]:
    """Return marshmallow's messages about one location as the `errors` of a problem."""
    return [_error(path, detail, location) for path, detail in _flatten(messages, ())]


def _flatten(messages: Any, path: tuple[object, ...]) -> Iterator[tuple[tuple[object, ...], str]]:
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            yield from _flatten(inner, path if name == "_schema" else (*path, name))
    elif isinstance(messages, list | tuple):
        for inner in messages:
            yield from _flatten(inner, path)
    else:
        yield path, str(messages)


def _error(path: tuple[object, ...], detail: str, location: str) -> dict[str, str]:
    if location == "json":
        return problems.at_body("/".join(("#", *map(_token, path))), detail)
    name = str(path[0]) if path else ""
    return problems.at_header(name, detail) if location == "headers" else problems.at_parameter(name, detail)


class Parser(FlaskParser):
    """webargs, with our reading of JSON, problems instead of aborts, and no unknown query parameters."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {  # noqa: RUF012  (webargs reads it here)
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": marshmallow.RAISE,
        "querystring": marshmallow.RAISE,
    }

    def _raw_load_json(self, req: Request) -> Any:
        """Return the body; no body at all is like an empty object, for routes whose members are optional."""
        return read_json() if req.mimetype or req.get_data(cache=True) else webargs.missing

    def handle_error(
        self,
        error: marshmallow.ValidationError,
        req: Request,  # noqa: ARG002
        schema: marshmallow.Schema,  # noqa: ARG002
        *,
        error_status_code: int | None,  # noqa: ARG002
        error_headers: Mapping[str, str] | None,  # noqa: ARG002
    ) -> NoReturn:
        """Answer 422 and point at each wrong value."""
        by_location = cast("dict[str, Any]", error.messages)  # webargs puts the location around the messages
        found = [each for location, inner in by_location.items() for each in errors_of(inner, location)]
        raise Problem(problems.INVALID_REQUEST, errors=found) from error
