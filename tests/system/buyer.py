"""A customer (and a clerk) of a running stack, over HTTP."""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx2
from running_stack import RunningStack

FINAL = {"completed", "cancelled"}
ADDRESS = {"name": "A", "street": "S 1", "postal_code": "1", "city": "C", "country": "DE"}


class Buyer:
    """Places orders as one customer and looks after stock as staff."""

    def __init__(self, stack: RunningStack, email: str = "alice@example.com") -> None:
        limits = httpx2.Limits(max_connections=32, max_keepalive_connections=32)
        self._http = httpx2.Client(base_url=stack.url, timeout=30, limits=limits)
        self._customer = {"Authorization": f"Bearer {stack.token('--customer', email)}"}
        self._staff = {"Authorization": f"Bearer {stack.token()}"}

    def post(
        self, path: str, body: Any = None, *, key: str | None = None, staff: bool = False, **headers: str
    ) -> httpx2.Response:
        """POST as the customer or as staff, under a key of its own unless one is given."""
        mine = self._staff if staff else self._customer
        return self._http.post(
            path, json=body, headers={**mine, "Idempotency-Key": key or str(uuid4()), **headers}
        )

    def get(self, path: str, *, staff: bool = False) -> httpx2.Response:
        """GET as the customer or as staff."""
        return self._http.get(path, headers=self._staff if staff else self._customer)

    def order(self, sku: str, quantity: int = 1, method: str = "tok_visa", **headers: str) -> httpx2.Response:
        """Order one line."""
        return self.post("/v1/orders", self.body(sku, quantity, method), **headers)

    @staticmethod
    def body(sku: str, quantity: int = 1, method: str = "tok_visa") -> dict[str, Any]:
        """Return the body of an order of one line."""
        lines = [{"sku": sku, "quantity": quantity}]
        return {"lines": lines, "payment_method": method, "shipping_address": ADDRESS}

    def order_many(self, count: int, sku: str, at_once: int = 16, method: str = "tok_visa") -> list[str]:
        """Place so many orders of one piece at once; every one must be accepted. Return their ids."""
        with ThreadPoolExecutor(at_once) as pool:
            answers = list(pool.map(lambda _: self.order(sku, 1, method), range(count)))
        assert {answer.status_code for answer in answers} == {202}, [a.text for a in answers][:1]
        return [answer.json()["id"] for answer in answers]

    def final(self, ids: Iterable[str], seconds: float = 60) -> list[dict[str, Any]]:
        """Wait until all these orders are final and return them."""
        until = time.monotonic() + seconds
        return [self._final(order_id, until) for order_id in ids]

    def _final(self, order_id: str, until: float) -> dict[str, Any]:
        while True:
            order: dict[str, Any] = self.get(f"/v1/orders/{order_id}").json()
            if order["status"] in FINAL:
                return order
            assert time.monotonic() < until, f"not final in time: {order['status']} {order_id}"
            time.sleep(0.1)

    def stocked(self, pieces: int, price: int = 500) -> str:
        """Make a product of its own with so many pieces, known to Orders; return its SKU."""
        sku = f"T-{uuid4().hex[:12]}"
        product = {"name": sku, "price": {"amount": price, "currency": "EUR"}}
        made = self._http.put(f"/v1/products/{sku}", json=product, headers=self._staff)
        assert made.status_code == 201, made.text
        if pieces:
            movement = {"kind": "receive", "quantity": pieces, "cause": "test"}
            moved = self.post(f"/v1/products/{sku}/stock-movements", movement, staff=True)
            assert moved.status_code == 201, moved.text
        self._wait_until_orderable(sku)
        return sku

    def _wait_until_orderable(self, sku: str) -> None:
        """A probe with a wrong expected total is refused, by price once the product is known."""
        body = self.body(sku) | {"expected_total": {"amount": 0, "currency": "EUR"}}
        until = time.monotonic() + 10
        while self.post("/v1/orders", body).status_code != 409:
            assert time.monotonic() < until, f"{sku} did not become orderable"
            time.sleep(0.05)

    def available(self, sku: str) -> int:
        """Return how many pieces can still be sold."""
        return int(self.get(f"/v1/products/{sku}").json()["available"])

    def payment_of(self, order_id: str) -> dict[str, Any]:
        """Return the order's one payment."""
        payments: Sequence[dict[str, Any]] = self.get(f"/v1/payments?order_id={order_id}").json()["items"]
        assert len(payments) == 1, payments
        return payments[0]
