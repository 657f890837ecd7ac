"""Another issuer (docs/seams/identity.md): RS256, a JWKS address, and a claim of its own for the customer."""

import importlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask
from jwt.algorithms import RSAAlgorithm

from shared_http.identity import customer_id_of

ISSUER, AUDIENCE, CLAIM = "https://login.example.com/", "our-shop", "customer_number"


class OwnIssuer:
    """An issuer with one RSA key, whose public half it serves over HTTP."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = {**RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True), "kid": "2026-01", "use": "sig"}
        document = json.dumps({"keys": [public]}).encode()

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/jwks"

    def headers(self, **claims: Any) -> dict[str, str]:
        said = {
            "iss": ISSUER,
            "aud": [AUDIENCE, "another"],
            "sub": "auth0|5f7c8ec7",
            "exp": time.time() + 60,
            "scope": "openid customer",
            CLAIM: "4711",
            **claims,
        }
        token = jwt.encode(
            {name: value for name, value in said.items() if value is not None},
            self._key,
            "RS256",
            headers={"kid": "2026-01"},
        )
        return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[OwnIssuer]:
    made = OwnIssuer()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module", params=["customers", "orders", "payments"])
def app(request: pytest.FixtureRequest, servers: Any, issuer: OwnIssuer) -> tuple[Flask, str]:
    """Each API that shows customers what is theirs, configured by the environment alone."""
    service = request.param
    settings = {
        **servers.access.environment(service),
        "ORDERFLOW_JWT_ISSUER": ISSUER,
        "ORDERFLOW_JWT_AUDIENCE": AUDIENCE,
        "ORDERFLOW_JWKS_URL": issuer.url,
        "ORDERFLOW_JWT_CUSTOMER_CLAIM": CLAIM,
        "ORDERFLOW_OPEN_REGISTRATION": "false",
        "ORDERFLOW_PROVIDER_URL": "http://127.0.0.1:1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        made = importlib.import_module(f"{service}_svc.app").create_app()
    return made, {"customers": "/v1/customers/me", "orders": "/v1/orders", "payments": "/v1/payments"}[
        service
    ]


def test_its_tokens_open_what_they_should(app: tuple[Flask, str], issuer: OwnIssuer) -> None:
    flask, path = app
    client = flask.test_client()

    answer = client.get(path, headers=issuer.headers())
    assert answer.status_code == (404 if path.endswith("/me") else 200), answer.text
    assert client.get(path, headers=issuer.headers(scope=["customer"])).status_code == answer.status_code
    for wrong in (
        {"iss": "https://evil.example.com/"},
        {"aud": "another"},
        {"exp": time.time() - 60},
        {"exp": None},
        {CLAIM: None},
    ):
        assert client.get(path, headers=issuer.headers(**wrong)).status_code == 401, wrong
    assert client.get(path, headers=issuer.headers(scope="openid")).status_code == 403


def test_the_claim_names_the_customer(app: tuple[Flask, str], issuer: OwnIssuer) -> None:
    flask, path = app
    if not path.endswith("/me"):
        pytest.skip("only Customers shows the customer's id")
    client = flask.test_client()

    body = {"email": "eve@example.com", "name": "Eve"}
    made = client.put(path, json=body, headers=issuer.headers())

    assert made.status_code in {200, 201}, made.text
    assert made.json is not None
    assert made.json["id"] == str(customer_id_of(ISSUER, "4711"))
