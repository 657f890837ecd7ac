"""One way to make the API of a service: blueprints behind tracing, access, problems, health, metrics."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import msgspec
from flask import Flask, Response, g, request
from flask.json.provider import JSONProvider
from sqlalchemy import Engine
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from shared_events import trace
from shared_events.settings import Servers
from shared_http import edge, metrics
from shared_http.auth import Verifier
from shared_http.blueprint import Blueprint
from shared_http.body import MAX_BODY
from shared_http.claims import Claims
from shared_http.edge import Edge
from shared_http.health import Check, Readiness, broker_check, database_check, redis_check
from shared_http.keys import Keys
from shared_http.lean import Answer, LeanFlask
from shared_http.openapi import Api
from shared_http.prefer import Waiters
from shared_http.probe_routes import probe_routes
from shared_http.settings import HttpSettings


def create_api(
    service: str,
    *,
    settings: HttpSettings,
    engine: Engine,
    blueprints: Sequence[Blueprint],
    migration_head: str | None = None,
    checks: Iterable[Check] = (),
    keys: Keys | None = None,
    config: Mapping[str, object] | None = None,
) -> Flask:
    """Return the WSGI application of a service. Nothing is connected before the first request.

    `migration_head` is the oldest migration that it works with. `checks` are looked at by readiness besides
    the database, Redis and the broker. `keys` replaces the issuer's keys (tests). `config` is the service's
    own part of Flask's configuration.
    """
    app = LeanFlask(f"{service}_svc", static_folder=None)
    app.json = _Json(app)
    app.config.update(_configuration(service), **(config or {}))
    shared = Edge(
        service=service,
        settings=settings,
        engine=engine,
        verifier=Verifier(settings, keys),
        claims=Claims(settings.servers.redis_url, service),
        waiters=Waiters(settings.request_threads),
    )
    edge.attach(shared, app.extensions)
    api = Api(app, service)
    for blueprint in blueprints:
        api.register_blueprint(blueprint)
    its_checks = [*_server_checks(settings.servers, engine, migration_head), *checks]
    app.register_blueprint(probe_routes(api, Readiness(its_checks, settings.leaving_mark)))
    app.before_request(_begin)
    app.after_request(_count)
    app.wsgi_app = _Traced(app.wsgi_app)  # type: ignore[method-assign]  # Flask's documented way
    return app


def _configuration(service: str) -> dict[str, object]:
    return {
        "MAX_CONTENT_LENGTH": MAX_BODY,
        "API_TITLE": f"Orderflow: {service}",
        "API_VERSION": version("orderflow"),
        "OPENAPI_VERSION": "3.1.0",
    }


def _server_checks(servers: Servers, engine: Engine, migration_head: str | None) -> list[Check]:
    return [
        database_check(engine, migration_head),
        redis_check(servers.redis_url),
        broker_check(servers.broker_url),
    ]


def json_response(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a ready answer; `value` holds plain data, UUIDs, datetimes and msgspec structs."""
    return Answer(msgspec.json.encode(value), status, headers, content_type="application/json")


class _Traced:
    """Runs every request inside the trace that its `traceparent` names, or a new one."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        with trace.following(trace.accept(environ.get("HTTP_TRACEPARENT"))):
            return self._inner(environ, start_response)


def _begin() -> None:
    """Start the clock; refuse what no view should have to think about."""
    g.stopwatch = metrics.stopwatch()
    if (request.content_length or 0) > MAX_BODY:
        raise RequestEntityTooLarge
    if "\0" in request.path or "%00" in request.query_string.decode("latin-1"):
        raise BadRequest


def _count(response: Response) -> Response:
    rule = request.url_rule.rule if request.url_rule else "none"
    metrics.count_request(rule, request.method, response.status_code, g.get("stopwatch"))
    return response


class _Json(JSONProvider):
    """Flask's JSON by msgspec: faster, and strict."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return msgspec.json.encode(obj, order="sorted" if kwargs.get("sort_keys") else None).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return msgspec.json.decode(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        body = msgspec.json.encode(self._prepare_response_obj(args, kwargs))
        return Answer(body, mimetype="application/json")
