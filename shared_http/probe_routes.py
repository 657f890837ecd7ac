"""The routes that every API serves on its own address: health, metrics and its OpenAPI document."""

from functools import cache

from flask import Blueprint, Response
from msgspec import json

from shared_http import metrics
from shared_http.blueprint import OPEN, guarded
from shared_http.health import Readiness
from shared_http.openapi import Api


def probe_routes(api: Api, readiness: Readiness) -> Blueprint:
    """Return the routes. They are open: the gateway passes none of them on."""
    routes = Blueprint("probes", __name__)

    def live() -> Response:
        return _json({"status": "alive"})

    def ready() -> Response:
        status, body = readiness.report()
        return _json(body, status)

    def metrics_page() -> Response:
        return Response(metrics.exposition(), content_type=metrics.CONTENT_TYPE)

    @cache
    def document() -> bytes:
        return json.encode(api.document())

    def openapi() -> Response:
        return Response(document(), content_type="application/json")

    routes.add_url_rule("/health/live", view_func=guarded(live, OPEN))
    routes.add_url_rule("/health/ready", view_func=guarded(ready, OPEN))
    routes.add_url_rule("/metrics", view_func=guarded(metrics_page, OPEN))
    routes.add_url_rule("/openapi.json", view_func=guarded(openapi, OPEN))
    return routes


def _json(body: dict[str, object] | dict[str, str], status: int = 200) -> Response:
    return Response(json.encode(body), status, content_type="application/json")
