"""The demo's side of the counter: it stocks its own products, registers its own customers, and buys."""

import time
from dataclasses import dataclass
from typing import Any

import httpx2

from orderflow_cli.accepted import Ledger
from orderflow_cli.client import Api, Deployment, reason
from orderflow_cli.demo_plan import CUSTOMERS, Plan, Purchase
from orderflow_cli.errors import CommandError

_PATIENCE_S = 30.0
_PAUSE_S = 0.1
# What passes: another copy is at work on the key, a product that Orders will hear of, a process that restarts.
_PASSING_PROBLEMS = ("idempotency-key-in-use", "unknown-sku", "too-busy")
_PASSING_STATUS = {502, 503, 504}
_TAKEN = 409


@dataclass(frozen=True)
class Receipt:
    """The answer to one copy of a purchase."""

    purchase: Purchase
    order_id: str
    replayed: bool


class Shop:
    """Sends a plan's orders to a deployment; several threads may buy at once. Each is tried for `patience_s`."""

    def __init__(
        self, its: Deployment, plan: Plan, ledger: Ledger, operator: Api, *, patience_s: float = _PATIENCE_S
    ) -> None:
        self._patience_s = patience_s
        self._plan = plan
        self._ledger = ledger
        self._operator = operator
        self._emails = [f"{plan.run}-{number}@example.com" for number in range(CUSTOMERS)]
        self._as_staff = not its.has_development_key
        self._buyers = [operator if self._as_staff else its.api(email, "customer") for email in self._emails]
        self._ids: list[str] = []

    def open(self) -> None:
        """Register the customers and fill the shelves."""
        for email in self._emails:
            body = {"email": email, "name": f"Demo {self._plan.run}"}
            self._ids.append(self._operator.ask("POST", "/v1/customers", body)["id"])
        for sku, stock in self._plan.stock.items():
            price = {"amount": self._plan.prices[sku], "currency": "EUR"}
            self._operator.ask("PUT", f"/v1/products/{sku}", {"name": sku, "price": price})
            if stock:
                movement = {"kind": "receive", "quantity": stock, "cause": "demo"}
                path = f"/v1/products/{sku}/stock-movements"
                self._operator.ask("POST", path, movement, idempotency_key=f"{sku}-stock")

    def buy(self, purchase: Purchase) -> Receipt:
        """Send a purchase until it is accepted, always under its own key; write it down, then count it."""
        key = f"{self._plan.run}-{purchase.number}"
        answer = self._insist(purchase, key)
        order_id = str(answer.json()["id"])
        subject = "ORDERFLOW_TOKEN" if self._as_staff else self._emails[purchase.customer]
        self._ledger.write(subject, key, order_id)
        return Receipt(purchase, order_id, replayed="Idempotency-Replayed" in answer.headers)

    def close(self) -> None:
        """Close the buyers' connections."""
        for buyer in self._buyers:
            buyer.close()

    def is_passing(self, answer: httpx2.Response) -> bool:
        """Return whether a refusal is one that will not be there for long."""
        if answer.status_code in _PASSING_STATUS:
            return True
        try:
            kind = str(answer.json().get("type", ""))
        except ValueError:
            return False
        return kind.rpartition("/")[2] in _PASSING_PROBLEMS

    def buyer(self, purchase: Purchase) -> Api:
        """Return the API as the customer of a purchase sees it."""
        return self._buyers[purchase.customer]

    def _insist(self, purchase: Purchase, key: str) -> httpx2.Response:
        body, until = self._body(purchase), time.monotonic() + self._patience_s
        while True:
            said = ""
            try:
                answer = self._buyers[purchase.customer].send("POST", "/v1/orders", body, idempotency_key=key)
            except httpx2.TransportError as error:
                said = str(error) or type(error).__name__
            else:
                if answer.is_success:
                    return answer
                said = reason(answer)
                if not self.is_passing(answer):
                    raise CommandError(f"order {purchase.number} was refused: {said}")
            if time.monotonic() > until:
                raise CommandError(
                    f"order {purchase.number} was not accepted in {self._patience_s:g} s: {said}"
                )
            time.sleep(_PAUSE_S)

    def _body(self, purchase: Purchase) -> dict[str, Any]:
        total = sum(self._plan.prices[sku] * quantity for sku, quantity in purchase.lines)
        body = {
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in purchase.lines],
            "payment_method": purchase.method,
            "shipping_address": {
                "name": "Demo", "street": "1 Example Street", "city": "Berlin", "postal_code": "10115", "country": "DE",
            },
            "expected_total": {"amount": total, "currency": "EUR"},
            "reference": self._plan.run,
        }  # fmt: skip
        return body | {"customer_id": self._ids[purchase.customer]} if self._as_staff else body
