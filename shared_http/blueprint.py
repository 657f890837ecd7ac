"""flask-smorest's blueprint, typed, with one rule more: every route says who may use it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ClassVar, TypeVar, cast

import flask_smorest
from flask import Flask, Response, g, request
from flask_smorest.exceptions import NotModified, PreconditionFailed
from flask_smorest.utils import get_appcontext
from marshmallow import Schema

from shared_http.auth import authenticate
from shared_http.body import Parser

F = TypeVar("F", bound=Callable[..., Any])
Shape = Schema | type[Schema]
Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use a route: bearers of any one of `scopes`, or everybody if there are none."""

    scopes: frozenset[str]


OPEN = Access(frozenset())


def requires(*scopes: str) -> Access:
    """Allow a route to tokens that have any one of these scopes."""
    return Access(frozenset(scopes))


def guarded(view: F, access: Access) -> F:
    """Return the view behind its access rule; it runs before anything of the request is looked at."""

    @wraps(view)
    def guard(*args: Any, **kwargs: Any) -> Any:
        if access.scopes:
            g.identity = authenticate(access.scopes)
        return view(*args, **kwargs)

    cast("Any", guard).access = access
    return cast("F", guard)


def undeclared_routes(app: Flask) -> list[str]:
    """Return the rules of an app that say nothing about access (a house test wants none)."""
    return sorted(
        str(rule)
        for rule in app.url_map.iter_rules()
        if not isinstance(getattr(app.view_functions[rule.endpoint], "access", None), Access)
    )


def access_of(app: Flask, endpoint: str) -> Access:
    """Return the access rule of an endpoint (tests that walk all routes ask for it)."""
    return cast("Access", cast("Any", app.view_functions[endpoint]).access)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest ships no types
    """Routes with schemas, access and documentation. Views are functions."""

    ARGUMENTS_PARSER = Parser()
    METHODS_NEEDING_CHECK_ETAG: ClassVar[list[str]] = ["PATCH"]

    def __init__(self, name: str, import_name: str, *, description: str = "", **options: Any) -> None:
        super().__init__(name, import_name, description=description, **options)
        self._prepare_doc_cbks.append(_document)

    def route(
        self, rule: str, *, access: Access, methods: Sequence[str] = ("GET",), **options: Any
    ) -> Callable[[F], F]:
        """Serve `rule` with a view function, to those whom `access` allows."""

        def register(view: F) -> F:
            guard = guarded(view, access)
            documented = cast("Any", guard)
            documented._apidoc = {
                **getattr(view, "_apidoc", {}),
                "access": access,
                "operation": view.__name__,
            }
            self.add_url_rule(rule, None, guard, methods=list(methods), **options)
            return guard

        return register

    def arguments(self, schema: Shape, *, location: str = "json", **options: Any) -> Callable[[F], F]:
        """Load the body (or the query, with `location="query"`) with a schema; the view gets it as a dict."""
        made = schema() if isinstance(schema, type) else schema  # an instance saves a copy on every request
        return cast("Callable[[F], F]", super().arguments(made, location=location, **options))

    def response(self, status_code: int, schema: Shape | None = None, **options: Any) -> Callable[[F], F]:
        """Answer with this status and shape; a view may also return a ready Response."""
        return cast("Callable[[F], F]", super().response(status_code, schema, **options))

    def alt_response(self, status_code: int, **options: Any) -> Callable[[F], F]:
        """Document another answer."""
        return cast("Callable[[F], F]", super().alt_response(status_code, **options))

    def etag(self, view: F) -> F:
        """Send an ETag; PATCH needs `If-Match`. The view calls `set_version` or `check_version`."""
        return cast("F", super().etag(view))

    def set_version(self, version: int) -> None:
        """Set the ETag from the row's version; answers 304 if the client has it already."""
        self.set_etag({"version": version})

    def check_version(self, version: int) -> None:
        """Answer 412 unless `If-Match` names this version of the row. Only PATCH must send one."""
        if request.method in self.METHODS_NEEDING_CHECK_ETAG:
            self.check_etag({"version": version})
        elif request.if_match and self._generate_etag({"version": version}) not in request.if_match:
            raise PreconditionFailed

    def _set_etag_in_response(self, response: Response) -> None:
        """Send the version that the view set; without one there is no ETag."""
        etag = get_appcontext().get("etag", {}).get("etag")
        if etag is not None:
            response.set_etag(etag)

    def _check_not_modified(self, etag: str) -> None:
        if request.method in self.METHODS_CHECKING_NOT_MODIFIED and etag in request.if_none_match:
            not_modified = NotModified()
            not_modified.etag = etag
            raise not_modified


def _document(doc: Doc, doc_info: Doc, *, api: Any, **_: Any) -> Doc:
    """Add operation id, security and the Idempotency-Key header to an operation's documentation."""
    doc["operationId"] = f"{api.service}_{doc_info['operation']}"
    access: Access = doc_info["access"]
    doc["security"] = [{"bearer": sorted(access.scopes)}] if access.scopes else []
    if "idempotency" in doc_info:
        header = {
            "name": "Idempotency-Key",
            "in": "header",
            "required": doc_info["idempotency"],
            "description": "A value of your own; the same value again gives the same answer.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }
        doc["parameters"] = [*doc.get("parameters", []), header]
    return doc
