"""The intake of orders over HTTP, on a real database: what is accepted, what is refused, and how."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from issuer import ISSUER
from orders_shop import ADDRESS, ALICE, JSON, LAMP, Shop
from sqlalchemy import text

from shared_http.identity import customer_id_of


def test_an_order_is_accepted_priced_by_us_and_begun(shop: Shop) -> None:
    answer = shop.order(LAMP, {"sku": "MUG", "quantity": 1}, reference="R-1", metadata={"a": "b"})

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/orders/{answer.json['id']}"
    assert answer.headers["Retry-After"] == "1"
    assert answer.json["total"] == {"amount": 11000, "currency": "EUR"}
    assert (answer.json["status"], answer.json["reference"]) == ("pending", "R-1")
    with shop.engine.connect() as connection:
        types = connection.execute(text("SELECT type FROM outbox ORDER BY id")).scalars().all()
    assert types == ["orders.order_created", "inventory.reserve_stock", "orders.step_timed_out"]


def test_the_same_sku_twice_is_one_line(shop: Shop) -> None:
    answer = shop.order(LAMP, LAMP)

    assert [(line["sku"], line["quantity"]) for line in answer.json["lines"]] == [("LAMP", 4)]


@pytest.mark.parametrize(
    ("lines", "members", "pointer"),
    [
        ([{"sku": "NOPE", "quantity": 1}], {}, "#/lines/0/sku"),
        ([LAMP, {"sku": "OLD", "quantity": 1}], {}, "#/lines/1/sku"),
        ([{"sku": "LAMP", "quantity": 0}], {}, "#/lines/0/quantity"),
        ([{"sku": "LAMP", "quantity": -1}], {}, "#/lines/0/quantity"),
        ([{"sku": "LAMP", "quantity": 10**9}], {}, "#/lines/0/quantity"),
        ([{"sku": "LAMP", "quantity": 10**30}], {}, "#/lines/0/quantity"),
        ([{"sku": "LAMP", "quantity": "2"}], {}, "#/lines/0/quantity"),
        ([{"sku": "LAMP", "quantity": True}], {}, "#/lines/0/quantity"),
        ([{"sku": "LAMP", "quantity": 1.5}], {}, "#/lines/0/quantity"),
        ([{"sku": "../x", "quantity": 1}], {}, "#/lines/0/sku"),
        ([{"sku": "LAMP"}], {}, "#/lines/0/quantity"),
        (["LAMP"], {}, "#/lines/0"),
        ([], {}, "#/lines"),
        ([LAMP] * 101, {}, "#/lines"),
        ([LAMP], {"nonsense": 1}, "#/nonsense"),
        ([LAMP], {"payment_method": "4111111111111111"}, "#/payment_method"),
        ([LAMP], {"shipping_address": {**ADDRESS, "country": "Germany"}}, "#/shipping_address/country"),
        ([LAMP], {"expected_total": {"amount": "1", "currency": "EUR"}}, "#/expected_total/amount"),
        ([LAMP], {"metadata": {"a": 1}}, "#/metadata/a/value"),
        ([{"sku": "GOLD", "quantity": 10**6}], {}, "#/lines"),
    ],
)
def test_what_is_wrong_is_pointed_at_and_nothing_is_kept(
    shop: Shop, lines: list[Any], members: JSON, pointer: str
) -> None:
    answer = shop.order(*lines, **members)

    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert pointer in [error["pointer"] for error in answer.json["errors"]], answer.json
    assert shop.count("orders") == shop.count("outbox") == shop.count("idempotency_keys") == 0


def test_a_key_that_was_refused_is_free_again(shop: Shop) -> None:
    assert shop.order({"sku": "NOPE", "quantity": 1}, key="k").status_code == 422

    assert shop.order(LAMP, key="k").status_code == 202


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"data": b"{", "content_type": "application/json"}, 400),
        ({"data": b"\xff\xfe", "content_type": "application/json"}, 400),
        ({"data": b"lines=1", "content_type": "application/x-www-form-urlencoded"}, 415),
        ({"data": b'"' + b"x" * 1_100_000 + b'"', "content_type": "application/json"}, 413),
        ({"data": b"[]", "content_type": "application/json"}, 422),
        ({"data": b"", "content_type": "application/json"}, 400),
    ],
)
def test_a_body_that_is_no_order_is_a_problem_never_a_500(shop: Shop, sent: JSON, status: int) -> None:
    answer = shop.post("/v1/orders", **sent)

    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"


def test_the_idempotency_key_is_required_and_may_not_be_reused(shop: Shop) -> None:
    assert shop.order(LAMP, key=None).status_code == 400
    first = shop.order(LAMP, key="once")

    again, other = shop.order(LAMP, key="once"), shop.order(LAMP, LAMP, key="once")

    assert (again.status_code, again.data) == (202, first.data)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert other.status_code == 422
    assert shop.count("orders") == 1


def test_an_unexpected_total_is_refused_with_ours(shop: Shop) -> None:
    answer = shop.order(LAMP, expected_total={"amount": 1, "currency": "EUR"})

    assert (answer.status_code, answer.json["type"]) == (409, "/problems/total-differs")
    assert "9800 EUR" in answer.json["detail"]
    assert shop.order(LAMP, expected_total={"amount": 9800, "currency": "EUR"}).status_code == 202


def test_one_order_has_one_currency(shop: Shop) -> None:
    answer = shop.order(LAMP, {"sku": "DOLLAR", "quantity": 1})

    assert (answer.status_code, answer.json["type"]) == (422, "/problems/mixed-currencies")


def test_a_suspended_customer_is_refused_but_still_gets_an_answer_to_an_old_key(shop: Shop) -> None:
    accepted = shop.order(LAMP, key="before")
    with shop.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO customers VALUES (:id, true, 1)"), {"id": customer_id_of(ISSUER, ALICE)}
        )

    assert shop.order(LAMP).json["type"] == "/problems/customer-suspended"
    assert shop.order(LAMP, key="before").data == accepted.data


def test_new_orders_wait_when_the_outbox_is_full_and_old_keys_are_answered(shop: Shop, servers: Any) -> None:
    accepted = shop.order(LAMP, key="before-the-rush")
    full = Shop(shop.engine, shop.spare, servers.access.redis_url("orders"), max_outbox_rows=1)

    refused = full.order(LAMP)

    assert (refused.status_code, refused.json["type"]) == (503, "/problems/too-busy")
    assert refused.headers["Retry-After"] == "5"
    assert full.order(LAMP, key="before-the-rush").data == accepted.data


def test_staff_order_for_a_customer_and_customers_only_for_themselves(shop: Shop) -> None:
    somebody = str(uuid4())

    assert shop.order(LAMP, scope="staff", customer_id=somebody).json["customer_id"] == somebody
    assert shop.order(LAMP, scope="staff").status_code == 422
    assert shop.order(LAMP, customer_id=somebody).status_code == 403


def test_nobody_sees_the_orders_of_others(shop: Shop) -> None:
    order_id = shop.order(LAMP).json["id"]

    for path in (f"/v1/orders/{order_id}", f"/v1/orders/{order_id}/timeline"):
        assert shop.get(path).status_code == 200
        assert shop.get(path, subject="mallory@example.com").status_code == 404
        assert shop.get(path, subject="clerk", scope="staff").status_code == 200
    assert shop.get("/v1/orders", subject="mallory@example.com").json["items"] == []
    assert shop.get(f"/v1/orders?customer_id={uuid4()}").status_code == 404
    cancelled = shop.post(f"/v1/orders/{order_id}/cancellation", subject="mallory@example.com")
    assert cancelled.status_code == 404


def test_orders_are_listed_page_by_page_and_by_filter(shop: Shop) -> None:
    ids = [shop.order(LAMP, reference=f"R-{number}").json["id"] for number in range(5)]

    seen, path = [], "/v1/orders?limit=2"
    while path:
        page = shop.get(path)
        seen += [order["id"] for order in page.json["items"]]
        cursor = page.json["next_cursor"]
        path = f"/v1/orders?limit=2&cursor={cursor}" if cursor else ""

    assert seen == ids[::-1]
    assert [o["id"] for o in shop.get("/v1/orders?reference=R-3").json["items"]] == [ids[3]]
    assert len(shop.get("/v1/orders?status=pending").json["items"]) == 5
    assert shop.get("/v1/orders?status=completed").json["items"] == []
    unknown = shop.get("/v1/orders?cursor=nonsense")
    assert (unknown.status_code, unknown.json["type"]) == (422, "/problems/unknown-cursor")
    assert shop.get("/v1/orders?created_after=yesterday").status_code == 422


def test_a_wrong_method_is_told_which_are_right(shop: Shop) -> None:
    answer = shop.app.test_client().delete("/v1/orders", headers=shop.issuer.headers())

    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["Allow"].replace(" ", "").split(","))


def test_cancelling_undoes_and_is_safe_to_repeat(shop: Shop) -> None:
    order_id = shop.order(LAMP).json["id"]

    first = shop.post(f"/v1/orders/{order_id}/cancellation")
    again = shop.post(f"/v1/orders/{order_id}/cancellation", scope="staff")

    assert (first.status_code, first.json["status"], first.json["reason"]) == (
        202, "cancelling", "by_customer",
    )  # fmt: skip
    assert (again.status_code, again.json["reason"]) == (202, "by_customer")
    timeline = shop.get(f"/v1/orders/{order_id}/timeline").json
    assert timeline["waits_for"] == ["Inventory to release the stock"]
    with shop.engine.connect() as connection:
        releases = connection.execute(
            text("SELECT count(*) FROM outbox WHERE type = 'inventory.release_stock'")
        ).scalar_one()
    assert releases == 1
    assert shop.post(f"/v1/orders/{UUID(int=1)}/cancellation").status_code == 404


def test_an_etag_saves_an_unchanged_order_from_being_sent_again(shop: Shop) -> None:
    order_id = shop.order(LAMP).json["id"]
    etag = shop.get(f"/v1/orders/{order_id}").headers["ETag"]

    headers = {**shop.issuer.headers(), "If-None-Match": etag}

    assert shop.app.test_client().get(f"/v1/orders/{order_id}", headers=headers).status_code == 304
