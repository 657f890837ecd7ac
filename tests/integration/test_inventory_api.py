"""The catalogue and the ledger over HTTP, on a real database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from issuer import AUDIENCE, ISSUER, Issuer
from sqlalchemy import Engine, text

from inventory_svc.api import blp
from inventory_svc.handlers import handlers
from inventory_svc.tables import InventoryWork
from shared_events import database
from shared_events.contracts.inventory import ReserveStock
from shared_events.contracts.values import Line
from shared_events.settings import Servers
from shared_http.application import create_api
from shared_http.settings import HttpSettings

JSON = dict[str, Any]
MUG: JSON = {
    "name": "Mug",
    "description": "Stoneware.",
    "price": {"amount": 1200, "currency": "EUR"},
    "active": True,
}


class Catalogue:
    """The API as staff, a customer or a stranger see it."""

    def __init__(self, engine: Engine, redis_url: str) -> None:
        self.engine = engine
        self.issuer = Issuer()
        servers = Servers("", "amqp://127.0.0.1:1", redis_url)
        settings = HttpSettings(servers, ISSUER, AUDIENCE, "file:///nowhere")
        self.app = create_api(
            "inventory", settings=settings, engine=engine, blueprints=[blp], keys=self.issuer
        )

    def call(
        self, method: str, path: str, body: Any = None, *, as_: str | None = "staff", **headers: str
    ) -> Any:
        said = self.issuer.headers(as_, as_) if as_ else {}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        client = self.app.test_client()
        return client.open(f"/v1/products{path}", method=method, json=body, headers=said)

    def put(self, sku: str = "MUG", **members: Any) -> Any:
        return self.call("PUT", f"/{sku}", {**MUG, **members})

    def get(self, path: str = "/MUG", **headers: str) -> Any:
        return self.call("GET", path, as_=None, **headers)

    def move(self, quantity: Any, kind: str = "receive", key: str | None = None, **members: Any) -> Any:
        body = {"kind": kind, "quantity": quantity, **members}
        return self.call("POST", "/MUG/stock-movements", body, Idempotency_Key=key or str(uuid4()))

    def reserve(self, quantity: int) -> None:
        command = ReserveStock(order_id=uuid4(), lines=(Line("MUG", quantity),), hold_s=3600)
        handler = handlers.get("inventory.reserve_stock")
        assert handler is not None
        with database.transaction(self.engine, InventoryWork) as work:
            work.lock([command])
            handler(command, work)

    def facts(self) -> list[JSON]:
        """Return the data of every message that waits to leave, oldest first."""
        with self.engine.connect() as connection:
            bodies = connection.execute(text("SELECT body FROM outbox ORDER BY id")).scalars()
            return [msgspec.json.decode(bytes(body))[0][0]["data"] for body in bodies]


@pytest.fixture(scope="module")
def engine(servers: Any) -> Iterator[Engine]:
    made = database.engine(servers.access.database_url("inventory"), pool_size=8, process="test")
    yield made
    made.dispose()


@pytest.fixture
def catalogue(engine: Engine, servers: Any) -> Catalogue:
    tables = "products, stock, stock_movements, reservations, reservation_lines, outbox, idempotency_keys"
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables}"))
    return Catalogue(engine, servers.access.redis_url("inventory"))


# -- products -------------------------------------------------------------------------------------


def test_a_new_product_is_created_shown_and_told_of(catalogue: Catalogue) -> None:
    answer = catalogue.put()

    assert answer.status_code == 201
    assert answer.headers["Location"] == "/v1/products/MUG"
    assert answer.json == {
        "sku": "MUG", **MUG, "available": 0, "version": 1, "updated_at": answer.json["updated_at"],
    }  # fmt: skip
    shown = catalogue.get()
    assert (shown.status_code, shown.json) == (200, answer.json)
    assert shown.headers["ETag"] == answer.headers["ETag"]
    assert catalogue.facts() == [
        {"sku": "MUG", "name": "Mug", "price": MUG["price"], "active": True, "aggregate_version": 1}
    ]


def test_the_same_body_again_changes_nothing_and_tells_nobody(catalogue: Catalogue) -> None:
    first = catalogue.put()

    again = catalogue.put()

    assert (again.status_code, again.json) == (200, first.json)
    assert len(catalogue.facts()) == 1


def test_a_changed_body_makes_a_new_version(catalogue: Catalogue) -> None:
    first = catalogue.put()

    changed = catalogue.put(active=False)

    assert (changed.status_code, changed.json["version"], changed.json["active"]) == (200, 2, False)
    assert changed.headers["ETag"] != first.headers["ETag"]
    assert changed.json["updated_at"] > first.json["updated_at"]
    assert [fact["aggregate_version"] for fact in catalogue.facts()] == [1, 2]


def test_an_older_external_version_is_ignored(catalogue: Catalogue) -> None:
    newest = catalogue.put(name="Newest", external_version=5)

    late = catalogue.put(name="Late", external_version=4)

    assert (late.status_code, late.json) == (200, newest.json)
    assert catalogue.put(name="Newest", external_version=6).json == newest.json
    assert catalogue.put(name="Late", external_version=5).json["name"] == "Newest"
    assert len(catalogue.facts()) == 1


def test_twenty_at_once_create_one_product(catalogue: Catalogue) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: catalogue.put(), range(20)))

    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert len(catalogue.facts()) == 1


def test_a_patch_changes_what_it_names_of_the_version_it_names(catalogue: Catalogue) -> None:
    etag = catalogue.put().headers["ETag"]

    changed = catalogue.call("PATCH", "/MUG", {"price": {"amount": 900, "currency": "EUR"}}, If_Match=etag)

    assert changed.status_code == 200
    assert (changed.json["price"]["amount"], changed.json["name"], changed.json["version"]) == (900, "Mug", 2)
    assert catalogue.get().headers["ETag"] == changed.headers["ETag"]
    assert catalogue.call("PATCH", "/MUG", {"name": "Cup"}, If_Match=etag).status_code == 412
    assert catalogue.call("PATCH", "/MUG", {"name": "Cup"}).status_code == 428
    assert catalogue.call("PATCH", "/SOFA", {"name": "Cup"}, If_Match=etag).status_code == 404
    assert len(catalogue.facts()) == 2


def test_availability_is_never_hidden_behind_an_unchanged_version(catalogue: Catalogue) -> None:
    etag = catalogue.put().headers["ETag"]
    catalogue.move(5)

    answer = catalogue.get(If_None_Match=etag)

    assert (answer.status_code, answer.json["available"]) == (200, 5)
    assert answer.headers["ETag"] == etag


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"name": ""}, "#/name"),
        ({"name": 7}, "#/name"),
        ({"description": "x" * 5001}, "#/description"),
        ({"price": {"amount": -1, "currency": "EUR"}}, "#/price/amount"),
        ({"price": {"amount": 10**12 + 1, "currency": "EUR"}}, "#/price/amount"),
        ({"price": {"amount": "12", "currency": "EUR"}}, "#/price/amount"),
        ({"price": {"amount": 12, "currency": "euro"}}, "#/price/currency"),
        ({"price": {"amount": 12}}, "#/price/currency"),
        ({"active": "yes"}, "#/active"),
        ({"external_version": -1}, "#/external_version"),
        ({"colour": "red"}, "#/colour"),
    ],
)
def test_a_bad_member_is_pointed_at(catalogue: Catalogue, members: JSON, pointer: str) -> None:
    answer = catalogue.put(**members)

    assert answer.status_code == 422
    assert answer.json["type"] == "/problems/invalid-request"
    assert [each["pointer"] for each in answer.json["errors"]] == [pointer]


@pytest.mark.parametrize("sku", ["-MUG", "M" * 65, "M%20G", "%C3%A9", "M%0A"])
def test_a_bad_sku_is_no_product(catalogue: Catalogue, sku: str) -> None:
    assert catalogue.put(sku).status_code == 422
    assert catalogue.get(f"/{sku}").status_code == 404


def test_products_are_listed_by_sku_page_by_page(catalogue: Catalogue) -> None:
    for sku in ("b", "A", "C", "a"):
        catalogue.put(sku)

    first = catalogue.get("?limit=3")
    second = catalogue.get(f"?limit=3&cursor={first.json['next_cursor']}")

    assert [each["sku"] for each in first.json["items"]] == ["A", "C", "a"]
    assert 'rel="next"' in first.headers["Link"]
    assert [each["sku"] for each in second.json["items"]] == ["b"]
    assert second.json["next_cursor"] is None


def test_products_are_listed_by_sku_and_by_change(catalogue: Catalogue) -> None:
    for sku in ("A", "B", "C"):
        since = catalogue.put(sku).json["updated_at"]

    assert [each["sku"] for each in catalogue.get("?sku=C&sku=A&sku=SOFA").json["items"]] == ["A", "C"]
    recent = catalogue.call("GET", f"?updated_since={since.replace('+', '%2B')}", as_=None)
    assert [each["sku"] for each in recent.json["items"]] == ["C"]


@pytest.mark.parametrize(
    "query", ["?limit=0", "?cursor=x", "?updated_since=yesterday", "?sku=-", "?colour=red"]
)
def test_a_bad_query_is_refused(catalogue: Catalogue, query: str) -> None:
    assert catalogue.get(query).status_code == 422


# -- stock movements ------------------------------------------------------------------------------


def test_received_pieces_are_available_and_in_the_ledger(catalogue: Catalogue) -> None:
    catalogue.put()

    received = catalogue.move(10)
    adjusted = catalogue.move(-3, "adjust", cause="broken")

    assert (received.status_code, adjusted.status_code) == (201, 201)
    assert received.json == {
        "id": received.json["id"], "sku": "MUG", "kind": "receive", "quantity": 10, "cause": "",
        "order_id": None, "created_at": received.json["created_at"],
    }  # fmt: skip
    assert catalogue.get().json["available"] == 7
    ledger = catalogue.call("GET", "/MUG/stock-movements").json["items"]
    assert ledger == [adjusted.json, received.json]


def test_a_movement_sent_again_moves_once(catalogue: Catalogue) -> None:
    catalogue.put()

    answers = [catalogue.move(10, key="once") for _ in range(3)]

    assert [answer.json for answer in answers] == [answers[0].json] * 3
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert catalogue.get().json["available"] == 10
    assert catalogue.move(11, key="once").status_code == 422


def test_a_movement_needs_an_idempotency_key(catalogue: Catalogue) -> None:
    catalogue.put()

    answer = catalogue.call("POST", "/MUG/stock-movements", {"kind": "receive", "quantity": 1})

    assert answer.status_code == 400


def test_what_is_reserved_cannot_be_adjusted_away(catalogue: Catalogue) -> None:
    catalogue.put()
    catalogue.move(5)
    catalogue.reserve(3)

    refused = catalogue.move(-3, "adjust", cause="lost")

    assert (refused.status_code, refused.json["type"]) == (409, "/problems/stock-reserved")
    assert refused.json["errors"][0]["pointer"] == "#/quantity"
    assert catalogue.move(-2, "adjust", cause="lost").status_code == 201
    assert catalogue.get().json["available"] == 0


@pytest.mark.parametrize(
    ("quantity", "kind", "members", "pointer"),
    [
        (0, "receive", {}, "#/quantity"),
        (-1, "receive", {}, "#/quantity"),
        (10**9 + 1, "receive", {}, "#/quantity"),
        (1.5, "receive", {}, "#/quantity"),
        (0, "adjust", {"cause": "counted"}, "#/quantity"),
        (-1, "adjust", {}, "#/cause"),
        (-1, "adjust", {"cause": " "}, "#/cause"),
        (1, "sale", {}, "#/kind"),
        (1, "receive", {"order_id": "x"}, "#/order_id"),
    ],
)
def test_a_bad_movement_is_pointed_at(
    catalogue: Catalogue, quantity: Any, kind: str, members: JSON, pointer: str
) -> None:
    catalogue.put()

    answer = catalogue.move(quantity, kind, **members)

    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json["errors"]] == [pointer]


def test_an_unknown_product_has_no_ledger(catalogue: Catalogue) -> None:
    assert catalogue.get().status_code == 404
    assert catalogue.call("GET", "/MUG/stock-movements").status_code == 404
    assert catalogue.move(1).status_code == 404


@pytest.mark.parametrize(("as_", "status"), [(None, 401), ("customer", 403)])
@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/MUG"), ("PATCH", "/MUG"), ("GET", "/MUG/stock-movements"), ("POST", "/MUG/stock-movements")],
)
def test_only_staff_may_change_products_and_see_the_ledger(
    catalogue: Catalogue, method: str, path: str, as_: str | None, status: int
) -> None:
    body: JSON | None = None if method == "GET" else {}

    assert catalogue.call(method, path, body, as_=as_).status_code == status
