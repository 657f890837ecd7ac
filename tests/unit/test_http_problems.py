"""Whatever is wrong with a request is answered as a problem that points at it; never with a 500."""

import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy
from flask import Flask, Response
from issuer import AUDIENCE, ISSUER, Issuer
from marshmallow import Schema, fields, validate
from openapi_spec_validator import validate as validate_openapi
from sqlalchemy.exc import DataError, OperationalError

from shared_events.settings import Servers
from shared_http import problems
from shared_http.application import create_api, json_response
from shared_http.blueprint import OPEN, Blueprint, requires, undeclared_routes
from shared_http.fields import SKU, Line, Moment, StrictBoolean, StrictInteger
from shared_http.idempotency import idempotent
from shared_http.ops import ops_routes
from shared_http.problems import Problem, at_body
from shared_http.settings import HttpSettings

JSON = dict[str, Any]
GOOD_LINE = {"sku": "LAMP", "quantity": 1}
blp = Blueprint("things", __name__)


class LineSchema(Schema):
    sku = fields.String(required=True, validate=SKU)
    quantity = StrictInteger(required=True, validate=validate.Range(1, 1000))


class ThingSchema(Schema):
    lines = fields.List(fields.Nested(LineSchema), required=True, validate=validate.Length(1, 100))
    note = Line(10, shortest=0)
    gift = StrictBoolean()


class FilterSchema(Schema):
    limit = fields.Integer(load_default=50)


@blp.route("/v1/things", methods=["POST"], access=requires("customer"))
@idempotent(required=False)
@blp.arguments(ThingSchema)
@blp.response(200, ThingSchema)
def make_thing(body: JSON) -> JSON:
    """Make a thing."""
    return body


@blp.route("/v1/things", access=OPEN)
@blp.arguments(FilterSchema, location="query")
@blp.response(200, ThingSchema)
def list_things(wanted: JSON) -> JSON:
    """List things."""
    return {"lines": []}


@blp.route("/v1/things/<uuid:thing_id>", access=OPEN)
@blp.response(200, ThingSchema)
def get_thing(thing_id: UUID) -> JSON:
    """Show a thing."""
    raise Problem(problems.NOT_FOUND, errors=[at_body("#/x", "y")], headers={"Retry-After": "3"})


@blp.route("/v1/failing/<how>", access=OPEN)
def fail(how: str) -> Response:
    """Fail in one of several ways."""
    errors = {
        "bug": ZeroDivisionError("secret"),
        "away": OperationalError("SELECT secret", {}, Exception("gone")),
        "busy": sqlalchemy.exc.TimeoutError("pool"),
        "value": DataError("INSERT secret", {}, Exception("out of range")),
    }
    raise errors[how]


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture(scope="module")
def app(issuer: Issuer) -> Flask:
    settings = HttpSettings(
        Servers("", "amqp://127.0.0.1:1", "redis://127.0.0.1:1"), ISSUER, AUDIENCE, "file:///nowhere"
    )
    engine = sqlalchemy.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    return create_api(
        "things", settings=settings, engine=engine, blueprints=[blp, ops_routes("things")], keys=issuer
    )


@pytest.fixture
def client(app: Flask) -> Any:
    return app.test_client()


def post(client: Any, issuer: Issuer, **options: Any) -> Any:
    return client.post("/v1/things", headers=issuer.headers(), **options)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["#/lines"]),
        ([], ["#"]),
        ({"lines": []}, ["#/lines"]),
        ({"lines": [GOOD_LINE] * 101}, ["#/lines"]),
        ({"lines": [{"sku": "-", "quantity": 0}]}, ["#/lines/0/sku", "#/lines/0/quantity"]),
        ({"lines": [GOOD_LINE, {"sku": "LAMP", "quantity": -1}]}, ["#/lines/1/quantity"]),
        ({"lines": [{"sku": "LAMP", "quantity": 10**9}]}, ["#/lines/0/quantity"]),
        ({"lines": [{"sku": "LAMP", "quantity": 2**63}]}, ["#/lines/0/quantity"]),
        ({"lines": [{"sku": "LAMP", "quantity": "5"}]}, ["#/lines/0/quantity"]),
        ({"lines": [{"sku": "LAMP", "quantity": True}]}, ["#/lines/0/quantity"]),
        ({"lines": [{"sku": "LAMP", "quantity": 1.5}]}, ["#/lines/0/quantity"]),
        ({"lines": [{"sku": "LAMP\n", "quantity": 1}]}, ["#/lines/0/sku"]),
        ({"lines": [{**GOOD_LINE, "a/b~c": 1}]}, ["#/lines/0/a~1b~0c"]),
        ({"lines": "x"}, ["#/lines"]),
        ({"lines": [GOOD_LINE], "gift": "yes"}, ["#/gift"]),
        ({"lines": [GOOD_LINE], "note": "a\x07"}, ["#/note"]),
        ({"lines": [GOOD_LINE], "note": "a\x00"}, ["#/note"]),
    ],
)
def test_a_wrong_value_is_pointed_at(client: Any, issuer: Issuer, body: Any, pointers: list[str]) -> None:
    answer = post(client, issuer, json=body)

    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert [error["pointer"] for error in answer.json["errors"]] == pointers


def test_a_whole_float_is_a_json_integer(client: Any, issuer: Issuer) -> None:
    answer = post(client, issuer, json={"lines": [{"sku": "LAMP", "quantity": 373.0}]})

    assert (answer.status_code, answer.json["lines"][0]["quantity"]) == (200, 373)


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"null", "application/json", 422),
        (b"", "application/json", 400),
        (b'{"a": NaN}', "application/json", 400),
        (b'"\xff"', "application/json", 400),
        (b'"\\ud800"', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[" * 70 + b"]" * 70, "application/json", 400),
        (b"[" * 900 + b'"\\u0000"' + b"]" * 900, "application/json", 400),
        (b"1" * 10_000, "application/json", 400),
        (b"{}", "application/merge-patch+json", 422),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
        (b"{}", None, 415),
        (b"", None, 422),
        (b" " * 1_048_577, "application/json", 413),
    ],
)
def test_what_is_not_json_is_refused(
    client: Any, issuer: Issuer, data: bytes, content_type: str | None, status: int
) -> None:
    answer = post(client, issuer, data=data, content_type=content_type)

    assert answer.status_code == status
    assert answer.json["status"] == status


def test_a_body_sent_in_chunks_is_bounded_too(client: Any, issuer: Issuer) -> None:
    answer = client.post(
        "/v1/things",
        headers=issuer.headers(),
        content_type="application/json",
        input_stream=io.BytesIO(b" " * 2_000_000),
        environ_overrides={"wsgi.input_terminated": True},
    )

    assert answer.status_code == 413


def test_a_wrong_query_parameter_is_pointed_at(client: Any) -> None:
    answer = client.get("/v1/things?limit=x&limt=1")

    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json["errors"]] == ["limit", "limt"]


@pytest.mark.parametrize("path", ["/v1/things?limit=%00", "/v1/failing/%00"])
def test_a_nul_in_the_address_is_refused(client: Any, path: str) -> None:
    assert client.get(path).status_code == 400


def test_another_method_is_refused_with_those_that_are_allowed(client: Any) -> None:
    answer = client.delete("/v1/things")

    assert (answer.status_code, answer.json["type"]) == (405, "/problems/method-not-allowed")
    assert {"GET", "POST"} <= {name.strip() for name in answer.headers["Allow"].split(",")}


@pytest.mark.parametrize("path", ["/nothing", "/v1/things/7", "/v1/things/"])
def test_an_unknown_address_is_not_found(client: Any, path: str) -> None:
    assert client.get(path).json["type"] == "/problems/not-found"


def test_a_problem_keeps_its_headers_and_errors(client: Any) -> None:
    answer = client.get("/v1/things/018f0000-0000-7000-8000-000000000000")

    assert (answer.status_code, answer.headers["Retry-After"]) == (404, "3")
    assert answer.json["errors"] == [{"pointer": "#/x", "detail": "y"}]


def test_a_problem_carries_the_trace_of_its_request(client: Any) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    given = client.get("/nothing", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
    wrong = client.get("/nothing", headers={"traceparent": "00-zz-00-01"})

    assert given.json["trace_id"] == trace_id
    assert len(wrong.json["trace_id"]) == 32


@pytest.mark.parametrize(
    ("how", "status", "slug"),
    [
        ("bug", 500, "internal-error"),
        ("away", 503, "database-unavailable"),
        ("busy", 503, "database-unavailable"),
        ("value", 422, "invalid-request"),
    ],
)
def test_a_failure_tells_nothing_of_its_inside(client: Any, how: str, status: int, slug: str) -> None:
    answer = client.get(f"/v1/failing/{how}")

    assert (answer.status_code, answer.json["type"]) == (status, f"/problems/{slug}")
    assert b"secret" not in answer.data
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_every_route_says_who_may_use_it(app: Flask) -> None:
    forgetful = Flask("forgetful", static_folder=None)
    forgetful.add_url_rule("/forgotten", view_func=lambda: "")

    assert undeclared_routes(app) == []
    assert undeclared_routes(forgetful) == ["/forgotten"]


def test_the_openapi_document_is_valid_and_speaks_of_problems(client: Any) -> None:
    document = client.get("/openapi.json").json

    validate_openapi(document)
    operation = document["paths"]["/v1/things"]["post"]
    assert operation["operationId"] == "things_make_thing"
    assert operation["security"] == [{"bearer": ["customer"]}]
    assert [each["name"] for each in operation["parameters"]] == ["Idempotency-Key"]
    assert "application/problem+json" in document["components"]["responses"]["DEFAULT_ERROR"]["content"]
    assert "not-found" in {each["slug"] for each in document["x-problems"]}
    assert document["components"]["schemas"]["Line"]["properties"]["quantity"]["type"] == "integer"


def test_requests_are_counted_by_route(client: Any) -> None:
    client.get("/v1/things/7")
    client.get("/v1/things")
    client.open("/v1/things", method="BREW")

    page = client.get("/metrics").text

    assert 'orderflow_http_requests_total{method="GET",route="/v1/things",status="200"}' in page
    assert 'method="other"' in page
    assert "orderflow_http_request_seconds_bucket" in page
    assert "BREW" not in page


def test_times_look_the_same_however_they_are_written() -> None:
    class EventSchema(Schema):
        at = Moment()

    at = datetime(2026, 1, 2, 3, 4, 5, 600, UTC)

    shown = EventSchema().dump({"at": at})["at"]

    assert shown == "2026-01-02T03:04:05.000600Z"
    assert json_response({"at": at}).json == {"at": shown}
    assert EventSchema().dump({"at": None}) == {"at": None}


def test_two_kinds_may_not_share_a_slug() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        problems.register("not-found", 404, "Another title", "x")
