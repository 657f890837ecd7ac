"""Payments over HTTP: owners see theirs, staff refund, operators read the provider's books."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from issuer import AUDIENCE, ISSUER, Issuer
from payments_bench import Payments

from payments_svc.api import blp
from payments_svc.simulator_provider import SimulatorProvider
from shared_events.contracts.payments import AuthorizePayment, CapturePayment, VoidPayment
from shared_events.contracts.values import Money
from shared_events.settings import Servers
from shared_http.application import create_api
from shared_http.blueprint import undeclared_routes
from shared_http.identity import customer_id_of
from shared_http.settings import HttpSettings

JSON = dict[str, Any]
ALICE = "alice@example.com"


class Counter:
    """The API as customers, staff and operators see it."""

    def __init__(self, payments: Payments, redis_url: str, provider: object) -> None:
        self.issuer = Issuer()
        self._payments = payments
        http = HttpSettings(Servers("", "amqp://127.0.0.1:1", redis_url), ISSUER, AUDIENCE, "file:///nowhere")
        self.app = create_api(
            "payments",
            settings=http,
            engine=payments.engine,
            blueprints=[blp],
            keys=self.issuer,
            config={"PROVIDER": provider},
        )

    def get(self, path: str, as_: str = ALICE, scope: str = "customer") -> Any:
        return self.app.test_client().get(path, headers=self.issuer.headers(as_, scope))

    def refund(self, payment_id: str, body: JSON, key: str | None = None, scope: str = "staff") -> Any:
        headers = {**self.issuer.headers("staff-7", scope), "Idempotency-Key": key or str(uuid4())}
        return self.app.test_client().post(f"/v1/payments/{payment_id}/refunds", json=body, headers=headers)

    def has_a_payment(self, order: UUID, *, captured: bool = False, method: str = "tok_visa") -> str:
        """Let alice pay for an order; return the payment's id."""
        customer = customer_id_of(ISSUER, ALICE)
        paid = AuthorizePayment(
            order_id=order, customer_id=customer, amount=Money(1250, "EUR"), payment_method=method
        )
        self._payments.receives(paid)
        if captured:
            self._payments.receives(CapturePayment(order_id=order))
        return str(self._payments.payment(order).id)


@pytest.fixture
def counter(payments: Payments, servers: Any, provider: SimulatorProvider) -> Counter:
    return Counter(payments, servers.access.redis_url("payments"), provider)


def test_every_route_says_who_may_use_it(counter):
    assert undeclared_routes(counter.app) == []


def test_an_owner_sees_the_payment_of_an_order(counter, order):
    payment_id = counter.has_a_payment(order)

    listed = counter.get(f"/v1/payments?order_id={order}").json["items"]
    shown = counter.get(f"/v1/payments/{payment_id}")

    assert [each["id"] for each in listed] == [payment_id]
    assert shown.json["status"] == "authorized"
    assert shown.json["amount"] == {"amount": 1250, "currency": "EUR"}
    assert shown.headers["ETag"]


def test_another_customer_sees_neither_payment_nor_refund(counter, order):
    payment_id = counter.has_a_payment(order, captured=True)
    refund = counter.refund(payment_id, {"reason": "broken"}).headers["Location"]

    assert counter.get(f"/v1/payments/{payment_id}", as_="mallory").status_code == 404
    assert counter.get(refund, as_="mallory").status_code == 404
    assert counter.get(f"/v1/payments?order_id={order}", as_="mallory").json["items"] == []
    assert counter.get(f"/v1/payments/{payment_id}", as_="boss", scope="staff").status_code == 200


def test_a_tombstone_is_shown_to_staff_only(counter, payments, order):
    payments.receives(VoidPayment(order_id=order, reason="expired"))
    path = f"/v1/payments/{payments.payment(order).id}"

    assert counter.get(path).status_code == 404
    shown = counter.get(path, as_="boss", scope="staff")
    assert (shown.json["status"], shown.json["amount"]) == ("voided", None)


def test_a_declined_payment_shows_the_providers_word(counter, order):
    payment_id = counter.has_a_payment(order, method="tok_insufficient_funds")

    assert counter.get(f"/v1/payments/{payment_id}").json["decline"]["code"] == "insufficient_funds"


def test_payments_are_listed_page_by_page(counter):
    ids = [counter.has_a_payment(uuid4()) for _ in range(3)]

    first = counter.get("/v1/payments?limit=2").json
    rest = counter.get(f"/v1/payments?limit=2&cursor={first['next_cursor']}").json

    assert [each["id"] for each in (*first["items"], *rest["items"])] == ids[::-1]
    assert rest["next_cursor"] is None


def test_staff_refund_a_captured_payment_once(counter, payments, provider, order):
    payment_id = counter.has_a_payment(order, captured=True)

    answers = [counter.refund(payment_id, {"reason": "broken"}, key="k-1") for _ in range(2)]
    payments.calls()

    assert [each.status_code for each in answers] == [202, 202]
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    refund = counter.get(answers[0].headers["Location"]).json
    assert (refund["status"], refund["requested_by"], refund["reason"]) == ("succeeded", "staff-7", "broken")
    assert [each.refunded for each in provider.records(order_id=str(order))] == [1250]
    assert payments.said(order) == ["payment_authorized", "payment_captured"]
    assert payments.payment(order).status == "refunded"


def test_an_undo_after_a_refund_by_staff_refunds_nothing_more(counter, payments, provider, order):
    payment_id = counter.has_a_payment(order, captured=True)
    counter.refund(payment_id, {"reason": "broken"})
    payments.receives(VoidPayment(order_id=order, reason="by_staff"))
    payments.calls()

    assert payments.said(order)[-1:] == ["payment_voided"]
    assert [each.refunded for each in provider.records(order_id=str(order))] == [1250]


@pytest.mark.parametrize("captured", [False, True])
def test_what_is_not_captured_any_more_or_yet_cannot_be_refunded(counter, order, captured):
    payment_id = counter.has_a_payment(order, captured=captured)
    if captured:
        counter.refund(payment_id, {"reason": "first"})

    answer = counter.refund(payment_id, {"reason": "broken"})

    assert answer.status_code == 409
    assert answer.json["type"] == "/problems/not-captured"


@pytest.mark.parametrize(
    "amount",
    [
        {"amount": 1249, "currency": "EUR"},
        {"amount": 1251, "currency": "EUR"},
        {"amount": 1250, "currency": "USD"},
    ],
)
def test_a_part_cannot_be_refunded(counter, order, amount):
    payment_id = counter.has_a_payment(order, captured=True)

    answer = counter.refund(payment_id, {"reason": "broken", "amount": amount})

    assert answer.status_code == 422
    assert answer.json["type"] == "/problems/partial-refund-unsupported"
    assert answer.json["errors"][0]["pointer"] == "#/amount"


def test_the_whole_amount_may_be_named(counter, order):
    payment_id = counter.has_a_payment(order, captured=True)
    body = {"reason": "broken", "amount": {"amount": 1250, "currency": "EUR"}}

    assert counter.refund(payment_id, body).status_code == 202


@pytest.mark.parametrize(
    ("body", "status"), [({}, 422), ({"reason": ""}, 422), ({"reason": "x", "extra": 1}, 422)]
)
def test_a_malformed_refund_is_refused(counter, order, body, status):
    payment_id = counter.has_a_payment(order, captured=True)

    assert counter.refund(payment_id, body).status_code == status


def test_a_refund_needs_staff_and_an_idempotency_key(counter, order):
    payment_id = counter.has_a_payment(order, captured=True)

    assert counter.refund(payment_id, {"reason": "mine"}, scope="customer").status_code == 403
    keyless = counter.app.test_client().post(
        f"/v1/payments/{payment_id}/refunds",
        json={"reason": "x"},
        headers=counter.issuer.headers("staff-7", "staff"),
    )
    assert keyless.status_code == 400


def test_an_unknown_payment_or_refund_is_404(counter):
    assert counter.get(f"/v1/payments/{uuid4()}").status_code == 404
    assert counter.get(f"/v1/refunds/{uuid4()}").status_code == 404
    assert counter.refund(str(uuid4()), {"reason": "x"}).status_code == 404


def test_operators_read_the_providers_books_page_by_page(counter, order):
    counter.has_a_payment(order)
    path = f"/ops/payments/provider-records?order_id={order}&limit=1"

    page = counter.get(path, "olga", "ops").json
    after = counter.get(f"{path}&cursor={page['next_cursor']}", "olga", "ops").json

    assert [(each["order_id"], each["held"]) for each in page["items"]] == [(str(order), 1250)]
    assert page["items"][0]["keys"] == [f"{order}:authorize"]
    assert after == {"items": [], "next_cursor": None}
    assert counter.get(path, "olga", "staff").status_code == 403
    assert counter.get(f"{path}&cursor=nonsense", "olga", "ops").status_code == 422


def test_a_provider_that_is_away_is_a_503(payments, servers):
    counter = Counter(payments, servers.access.redis_url("payments"), SimulatorProvider("http://127.0.0.1:1"))

    answer = counter.get("/ops/payments/provider-records", "olga", "ops")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_a_provider_without_books_is_a_404(payments, servers):
    counter = Counter(payments, servers.access.redis_url("payments"), object())

    answer = counter.get("/ops/payments/provider-records", "olga", "ops")

    assert answer.json["type"] == "/problems/provider-without-records"
