"""Customers over HTTP on a real database: profile, suspension, and the facts that leave with them."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy
from flask.testing import FlaskClient
from issuer import AUDIENCE, ISSUER, Issuer
from sqlalchemy import Engine, select

from customers_svc.api import blp
from customers_svc.handlers import handlers
from customers_svc.settings import Settings
from customers_svc.tables import CUSTOMERS, Customers
from shared_events import database
from shared_events.contracts.customers import CustomerSnapshotRequested
from shared_events.settings import Servers
from shared_events.tables import OUTBOX
from shared_http.application import create_api
from shared_http.identity import customer_id_of
from shared_http.settings import HttpSettings

JSON = dict[str, Any]
ADDRESS = {"name": "Alice", "street": "Main St 1", "postal_code": "10115", "city": "Berlin", "country": "DE"}


class Shop:
    """The API as alice, bob, staff or a stranger see it."""

    def __init__(self, engine: Engine, redis_url: str, *, open_registration: bool = True) -> None:
        self.engine = engine
        self.issuer = Issuer()
        http = HttpSettings(Servers("", "amqp://127.0.0.1:1", redis_url), ISSUER, AUDIENCE, "file:///nowhere")
        settings = Settings(http, open_registration)
        self.app = create_api(
            "customers",
            settings=http,
            engine=engine,
            blueprints=[blp],
            keys=self.issuer,
            config=settings.as_config(),
        )

    def register(self, email: str, as_: str | None = None, **headers: str) -> Any:
        body = {"email": email, "name": email.partition("@")[0]}
        return self.call("POST", "/v1/customers", as_=as_, json=body, headers=headers)

    def call(
        self, method: str, path: str, *, as_: str | None = None, json: Any = None, headers: JSON | None = None
    ) -> Any:
        scope = "staff" if as_ == "staff" else "customer"
        who = self.issuer.headers(as_, scope) if as_ else {}
        client: FlaskClient = self.app.test_client()
        return client.open(path, method=method, json=json, headers={**who, **(headers or {})})

    def facts(self) -> list[str]:
        with self.engine.connect() as connection:
            return list(connection.execute(select(OUTBOX.c.type).order_by(OUTBOX.c.id)).scalars())


@pytest.fixture(scope="module")
def engine(servers: Any) -> Iterator[Engine]:
    made = database.engine(servers.access.database_url("customers"), pool_size=5, process="test")
    yield made
    made.dispose()


@pytest.fixture
def redis_url(servers: Any) -> str:
    return str(servers.access.redis_url("customers"))


@pytest.fixture
def shop(engine: Engine, redis_url: str) -> Shop:
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("TRUNCATE customers, outbox, idempotency_keys"))
    return Shop(engine, redis_url)


def test_a_registered_address_is_the_customer_whose_token_says_it(shop: Shop) -> None:
    answer = shop.register("Alice@Example.com")

    assert answer.status_code == 201
    assert answer.json["id"] == str(customer_id_of(ISSUER, "alice@example.com"))
    assert answer.headers["Location"] == f"/v1/customers/{answer.json['id']}"
    assert shop.call("GET", "/v1/customers/me", as_="alice@example.com").json["email"] == "alice@example.com"
    assert shop.facts() == ["customers.customer_registered"]


def test_an_address_is_taken_once_however_it_is_spelt(shop: Shop) -> None:
    shop.register("alice@example.com")

    answer = shop.register("ALICE@example.com")

    assert (answer.status_code, answer.json["type"]) == (409, "/problems/email-taken")
    assert answer.json["errors"] == [{"pointer": "#/email", "detail": "taken"}]


def test_a_token_registers_its_own_customer(shop: Shop) -> None:
    subject = str(uuid4())

    assert shop.register("a@example.com", as_=subject).json["id"] == subject
    assert shop.register("b@example.com", as_=subject).json["type"] == "/problems/already-registered"


def test_registration_may_be_closed(engine: Engine, shop: Shop, redis_url: str) -> None:
    closed = Shop(engine, redis_url, open_registration=False)

    assert closed.register("alice@example.com").status_code == 401
    assert closed.register("alice@example.com", as_="alice@example.com").status_code == 201


def test_a_repeated_registration_with_its_key_is_answered_again(shop: Shop) -> None:
    key = {"Idempotency-Key": str(uuid4())}

    first, again = (shop.register("alice@example.com", **key) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"email": "no", "name": "x"}, "#/email"),
        ({"email": "a@example.com"}, "#/name"),
        ({"email": "a@example.com", "name": ""}, "#/name"),
        ({"email": "a@example.com", "name": "  "}, "#/name"),
        ({"email": "a@example.com", "name": "x", "admin": True}, "#/admin"),
        ({"email": "a@example.com", "name": 7}, "#/name"),
    ],
)
def test_what_is_wrong_is_pointed_at(shop: Shop, body: JSON, pointer: str) -> None:
    answer = shop.call("POST", "/v1/customers", json=body)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


def test_put_registers_and_then_replaces(shop: Shop) -> None:
    body = {"email": "alice@example.com", "name": "Alice", "addresses": [ADDRESS]}

    first = shop.call("PUT", "/v1/customers/me", as_="alice@example.com", json=body)
    same = shop.call("PUT", "/v1/customers/me", as_="alice@example.com", json=body)
    other = shop.call("PUT", "/v1/customers/me", as_="alice@example.com", json={**body, "addresses": []})

    assert (first.status_code, same.status_code, other.status_code) == (201, 200, 200)
    assert same.json["addresses"] == [{**ADDRESS, "region": None}]
    assert other.json["addresses"] == []
    assert shop.facts() == ["customers.customer_registered", "customers.customer_changed"]


def test_patch_needs_the_version_that_it_changes(shop: Shop) -> None:
    shop.register("alice@example.com")
    me: JSON = {"path": "/v1/customers/me", "as_": "alice@example.com"}
    etag = shop.call("GET", **me).headers["ETag"]

    missing = shop.call("PATCH", **me, json={"name": "Al"})
    good = shop.call("PATCH", **me, json={"name": "Al"}, headers={"If-Match": etag})
    stale = shop.call("PATCH", **me, json={"name": "Ali"}, headers={"If-Match": etag})
    unchanged = shop.call("GET", **me, headers={"If-None-Match": good.headers["ETag"]})

    assert [missing.status_code, good.status_code, stale.status_code, unchanged.status_code] == [
        428,
        200,
        412,
        304,
    ]
    assert good.json["name"] == "Al"


def test_a_change_to_a_taken_address_is_refused(shop: Shop) -> None:
    shop.register("alice@example.com")
    shop.register("bob@example.com")
    body = {"email": "bob@example.com", "name": "Alice"}

    answer = shop.call("PUT", "/v1/customers/me", as_="alice@example.com", json=body)

    assert answer.json["type"] == "/problems/email-taken"


def test_another_customer_is_not_found(shop: Shop) -> None:
    alice = shop.register("alice@example.com").json["id"]

    assert shop.call("GET", f"/v1/customers/{alice}", as_="bob@example.com").status_code == 404
    assert shop.call("GET", f"/v1/customers/{alice}", as_="alice@example.com").status_code == 200
    assert shop.call("GET", f"/v1/customers/{alice}", as_="staff").status_code == 200
    assert shop.call("GET", "/v1/customers", as_="bob@example.com").status_code == 403
    assert shop.call("GET", f"/v1/customers/{uuid4()}", as_="staff").status_code == 404


def test_the_list_goes_page_by_page(shop: Shop) -> None:
    for n in range(5):
        shop.register(f"c{n}@example.com")

    seen, path = [], "/v1/customers?limit=2"
    while path:
        page = shop.call("GET", path, as_="staff")
        seen += [each["email"] for each in page.json["items"]]
        link = page.headers.get("Link", "")
        path = link.partition(">")[0].lstrip("<")
        assert bool(path) == bool(page.json["next_cursor"])

    assert seen == [f"c{n}@example.com" for n in (4, 3, 2, 1, 0)]
    found = shop.call("GET", "/v1/customers?email=C3@example.com", as_="staff").json["items"]
    assert [each["email"] for each in found] == ["c3@example.com"]


@pytest.mark.parametrize(
    "cursor", ["x", "e30", "eyJpZCI6MX0", "%00", "eyJpZCI6IjEiLCJjcmVhdGVkX2F0IjoiMSJ9", "é"]
)
def test_an_unknown_cursor_is_pointed_at(shop: Shop, cursor: str) -> None:
    answer = shop.call("GET", f"/v1/customers?cursor={cursor}", as_="staff")

    assert answer.status_code in {400, 422}
    if cursor != "%00":
        assert answer.json["type"] == "/problems/unknown-cursor"
        assert answer.json["errors"][0]["parameter"] == "cursor"


def test_suspending_twice_is_suspending_once(shop: Shop) -> None:
    alice = shop.register("alice@example.com").json["id"]
    path = f"/v1/customers/{alice}/suspension"

    first = shop.call("POST", path, as_="staff", json={"reason": "fraud"})
    second = shop.call("POST", path, as_="staff", json={"reason": "other"})

    assert (first.status_code, second.status_code) == (200, 200)
    assert second.json["suspension"]["reason"] == "fraud"
    assert "suspension" not in shop.call("GET", "/v1/customers/me", as_="alice@example.com").json
    assert shop.call("DELETE", path, as_="staff").status_code == 204
    assert shop.call("DELETE", path, as_="staff").status_code == 204
    assert shop.facts()[1:] == ["customers.customer_suspended", "customers.customer_reinstated"]


def test_only_staff_suspends(shop: Shop) -> None:
    alice = shop.register("alice@example.com").json["id"]
    path = f"/v1/customers/{alice}/suspension"

    assert shop.call("POST", path, as_="alice@example.com", json={"reason": "x"}).status_code == 403
    assert shop.call("POST", path, json={"reason": "x"}).status_code == 401
    assert (
        shop.call(
            "POST", f"/v1/customers/{uuid4()}/suspension", as_="staff", json={"reason": "x"}
        ).status_code
        == 404
    )


def test_facts_carry_no_personal_data(shop: Shop) -> None:
    shop.register("alice@example.com")

    with shop.engine.connect() as connection:
        body = bytes(connection.execute(select(OUTBOX.c.body)).scalar_one())

    assert b"alice" not in body


def test_a_snapshot_tells_the_suspensions_again_with_their_versions(shop: Shop) -> None:
    suspended = shop.register("alice@example.com").json["id"]
    shop.register("bob@example.com")
    shop.call("POST", f"/v1/customers/{suspended}/suspension", as_="staff", json={"reason": "fraud"})

    asked = CustomerSnapshotRequested()
    with shop.engine.begin() as connection:
        work = Customers(connection)
        work.lock([asked])
        handler = handlers.get("customers.snapshot_requested")
        assert handler is not None
        (told,) = handler(asked, work)

    with shop.engine.connect() as connection:
        version = connection.execute(
            select(CUSTOMERS.c.version).where(CUSTOMERS.c.suspended_at.is_not(None))
        ).scalar_one()
    assert (str(told.customer_id), told.suspended, told.aggregate_version) == (suspended, True, version)  # type: ignore[union-attr]
