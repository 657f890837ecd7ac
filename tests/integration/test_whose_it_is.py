"""Every route of all four APIs, walked: a token that may not gets 403, another customer's resource is 404."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy
from flask import Flask
from issuer import AUDIENCE, ISSUER, Issuer

from shared_http.blueprint import access_of
from shared_http.identity import CUSTOMER, OPS, STAFF, customer_id_of

SERVICES = ("orders", "inventory", "customers", "payments")
ALICE, BOB = "alice@whose.example", "bob@whose.example"
NOTHING = UUID("018f0000-0000-7000-8000-000000000000")
Apps = dict[str, Flask]


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def apps(servers: Any, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Apps:
    jwks: Path = tmp_path_factory.mktemp("keys") / "jwks.json"
    jwks.write_text(json.dumps({"keys": [issuer.public_key()]}))
    made = {}
    for service in SERVICES:
        settings = {
            **servers.access.environment(service),
            "ORDERFLOW_JWT_ISSUER": ISSUER,
            "ORDERFLOW_JWT_AUDIENCE": AUDIENCE,
            "ORDERFLOW_JWKS_URL": jwks.as_uri(),
            "ORDERFLOW_PROVIDER_URL": "http://127.0.0.1:1",
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(name, value)
            made[service] = importlib.import_module(f"{service}_svc.app").create_app()
    return made


def guarded_routes(app: Flask) -> Iterator[tuple[Any, str, frozenset[str]]]:
    """Yield (rule, method, scopes) of every route that asks for a token."""
    for rule in app.url_map.iter_rules():
        scopes = access_of(app, rule.endpoint).scopes
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            if scopes:
                yield rule, method, scopes


def path_of(app: Flask, rule: Any, value: UUID = NOTHING) -> str:
    return app.url_map.bind("").build(rule.endpoint, dict.fromkeys(rule.arguments, value))


@pytest.mark.parametrize("service", SERVICES)
def test_a_token_without_the_scope_is_refused_on_every_route(
    apps: Apps, issuer: Issuer, service: str
) -> None:
    app = apps[service]
    walked = 0
    for rule, method, scopes in guarded_routes(app):
        for scope in {CUSTOMER, STAFF, OPS, "openid", ""} - scopes:
            answer = app.test_client().open(
                path_of(app, rule), method=method, headers=issuer.headers(ALICE, scope)
            )
            assert answer.status_code == 403, f"{method} {rule} as {scope!r}: {answer.text}"
            walked += 1
    assert walked > 20


@pytest.mark.parametrize("service", SERVICES)
def test_a_token_that_is_no_token_is_refused_on_every_route(apps: Apps, service: str) -> None:
    app, stranger = apps[service], Issuer()
    for rule, method, _ in guarded_routes(app):
        for header in (stranger.headers(ALICE, "customer staff ops"), {"Authorization": "Bearer x"}):
            answer = app.test_client().open(path_of(app, rule), method=method, headers=header)
            assert answer.status_code == 401, f"{method} {rule}"


@pytest.fixture(scope="module")
def owned(servers: Any, apps: Apps, issuer: Issuer) -> Iterator[dict[str, UUID]]:
    """What belongs to Alice: one order, its payment, its refund, and herself."""
    client, alice_herself = apps["customers"].test_client(), {"email": ALICE, "name": "Alice"}
    client.put("/v1/customers/me", json=alice_herself, headers=issuer.headers(ALICE))
    alice = customer_id_of(ISSUER, ALICE)
    ids = {"order_id": uuid4(), "payment_id": uuid4(), "refund_id": uuid4(), "customer_id": alice}
    statements = {
        "orders": """
            INSERT INTO orders (id, customer_id, status, lines, total_amount, currency, payment_method,
                                shipping_address, metadata, saga, created_at)
            VALUES (%(order_id)s, %(customer_id)s, 'completed', '[]', 1, 'EUR', 'tok_visa', '{}', '{}',
                    '{"steps": {}, "undoing": false, "doubted": []}', now())""",
        "payments": """
            INSERT INTO payments (id, order_id, customer_id, amount, currency, method, status,
                                  void_requested, void_reason)
            VALUES (%(payment_id)s, %(order_id)s, %(customer_id)s, 1, 'EUR', 'tok_visa', 'refunded', false, '');
            INSERT INTO refunds (id, payment_id, order_id, amount, currency, reason, requested_by, status)
            VALUES (%(refund_id)s, %(payment_id)s, %(order_id)s, 1, 'EUR', '', 'staff', 'succeeded')""",
    }
    run_in(servers, statements, ids)
    yield ids
    gone = {
        "orders": "DELETE FROM orders WHERE id = %(order_id)s",
        "payments": """DELETE FROM refunds WHERE id = %(refund_id)s;
                       DELETE FROM payments WHERE id = %(payment_id)s""",
        "customers": "DELETE FROM customers WHERE id = %(customer_id)s; DELETE FROM outbox",
    }
    run_in(servers, gone, ids)


def run_in(servers: Any, statements: dict[str, str], values: dict[str, UUID]) -> None:
    for service, text in statements.items():
        url = sqlalchemy.make_url(servers.access.database_url(service)).set(drivername="postgresql+psycopg")
        with sqlalchemy.create_engine(url).begin() as connection:
            for statement in text.split(";"):
                connection.exec_driver_sql(statement, values)


@pytest.mark.parametrize("service", ["orders", "customers", "payments"])
def test_another_customer_s_resource_is_not_found_on_every_route(
    apps: Apps, issuer: Issuer, owned: dict[str, UUID], service: str
) -> None:
    app = apps[service]
    walked = 0
    for rule, method, scopes in guarded_routes(app):
        if CUSTOMER not in scopes or not rule.arguments:
            continue
        (argument,) = rule.arguments
        path = path_of(app, rule, owned[argument])
        client = app.test_client()

        mine = client.open(path, method=method, headers=issuer.headers(ALICE))
        theirs = client.open(path, method=method, headers=issuer.headers(BOB))
        nobodys = client.open(path_of(app, rule), method=method, headers=issuer.headers(BOB))

        assert mine.status_code not in {401, 403, 404}, f"{method} {rule}: {mine.text}"
        assert theirs.status_code == 404, f"{method} {rule}: {theirs.text}"
        assert nobodys.status_code == 404
        if method != "HEAD":
            assert theirs.json is not None
            assert nobodys.json is not None
            assert theirs.json["type"] == nobodys.json["type"], "it must not show that there is one"
        walked += 1
    assert walked


@pytest.mark.parametrize("service", ["orders", "payments"])
def test_lists_show_customers_only_what_is_theirs(
    apps: Apps, issuer: Issuer, owned: dict[str, UUID], service: str
) -> None:
    client = apps[service].test_client()

    def ids(who: str, query: str = "") -> set[str]:
        answer = client.get(f"/v1/{service}{query}", headers=issuer.headers(who))
        return {item["id"] for item in answer.json["items"]} if answer.status_code == 200 else set()

    assert ids(ALICE) == {str(owned["order_id" if service == "orders" else "payment_id"])}
    assert ids(BOB) == set()
    assert ids(BOB, f"?customer_id={owned['customer_id']}") == set()
    assert ids(BOB, f"?order_id={owned['order_id']}") == set()
