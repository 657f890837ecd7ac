"""Rules for the routes of all four services: each says who may use it, and they fit into one document."""

import importlib
from collections import Counter
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import validate

from shared_http.blueprint import access_of, undeclared_routes
from shared_http.identity import CUSTOMER, OPS, STAFF

SERVICES = ("orders", "inventory", "customers", "payments")
SETTINGS = {
    "ORDERFLOW_DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/nothing",
    "ORDERFLOW_BROKER_URL": "amqp://nobody:x@127.0.0.1:1/orderflow",
    "ORDERFLOW_REDIS_URL": "redis://nobody:x@127.0.0.1:1/0",
    "ORDERFLOW_JWT_ISSUER": "https://issuer.test",
    "ORDERFLOW_JWT_AUDIENCE": "orderflow",
    "ORDERFLOW_JWKS_URL": "file:///nowhere/jwks.json",
    "ORDERFLOW_PROVIDER_URL": "http://127.0.0.1:1",
}
OPEN_ROUTES = {
    "/health/live", "/health/ready", "/metrics", "/openapi.json",
    "/v1/customers", "/v1/products", "/v1/products/<sku>",
}  # fmt: skip


@pytest.fixture(scope="module")
def apps() -> dict[str, Flask]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        return {name: importlib.import_module(f"{name}_svc.app").create_app() for name in SERVICES}


@pytest.fixture(scope="module")
def documents(apps: dict[str, Flask]) -> dict[str, Any]:
    return {name: app.test_client().get("/openapi.json").json for name, app in apps.items()}


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_says_who_may_use_it(apps: dict[str, Flask], service: str) -> None:
    assert undeclared_routes(apps[service]) == []


@pytest.mark.parametrize("service", SERVICES)
def test_scopes_are_the_three_and_only_named_routes_are_open(apps: dict[str, Flask], service: str) -> None:
    app = apps[service]
    for rule in app.url_map.iter_rules():
        scopes = access_of(app, rule.endpoint).scopes
        assert scopes <= {CUSTOMER, STAFF, OPS}, rule
        assert scopes or str(rule).replace("<sku:", "<") in OPEN_ROUTES, f"{rule} is open"
        assert not str(rule).startswith("/ops/") or scopes == {OPS}, rule


@pytest.mark.parametrize("service", SERVICES)
def test_without_a_token_every_guarded_route_answers_401(apps: dict[str, Flask], service: str) -> None:
    app = apps[service]
    client = app.test_client()
    for rule in app.url_map.iter_rules():
        if not access_of(app, rule.endpoint).scopes:
            continue
        nothing = "018f0000-0000-7000-8000-000000000000"
        path = app.url_map.bind("").build(rule.endpoint, dict.fromkeys(rule.arguments, nothing))
        for method in (rule.methods or set()) - {"OPTIONS"}:
            answer = client.open(path, method=method)
            assert answer.status_code == 401, f"{method} {rule}"
            assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("service", SERVICES)
def test_each_openapi_document_is_valid(documents: dict[str, Any], service: str) -> None:
    validate(documents[service])


def test_operation_ids_are_unique_across_services(documents: dict[str, Any]) -> None:
    used = Counter(
        operation["operationId"]
        for document in documents.values()
        for path in document["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict)
    )

    assert [name for name, times in used.items() if times > 1] == []


def test_a_shape_has_one_meaning_across_services(documents: dict[str, Any]) -> None:
    seen: dict[str, Any] = {}
    for service, document in documents.items():
        for name, shape in document["components"]["schemas"].items():
            assert seen.setdefault(name, shape) == shape, f"{name} of {service} is another one elsewhere"
