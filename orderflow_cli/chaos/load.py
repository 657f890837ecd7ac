"""The load: real orders over the public API, at a steady pace, each sent until it is accepted."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2

from orderflow_cli.chaos.schedule import Fault
from orderflow_cli.client import Api
from orderflow_cli.demo_plan import PLAIN, Plan, Purchase, plan
from orderflow_cli.demo_shop import Receipt, Shop
from orderflow_cli.errors import CommandError

BY_CUSTOMER, CANARY = "cancelled by customer", "canary"
_CANCELLED = {4, 14}
_ROUND = 20
_THREADS = 16
_FIRST_CANARY = 1_000_000
_REGRET_S = 1.5
"""A customer cancels within this time: some before the stock is reserved, some when it is too late."""
_SETTLED = {200, 202, 409}
_PAUSE_S = 0.25


def load_plan(run: str, orders: int) -> Plan:
    """Return the demo's plan with customers who change their minds: two of twenty orders."""
    made = plan(run, orders)
    purchases = tuple(
        replace(each, kind=BY_CUSTOMER, twice=False)
        if each.kind == PLAIN and each.number % _ROUND in _CANCELLED
        else each
        for each in made.purchases
    )
    lamp = next(iter(made.stock))
    return replace(made, purchases=purchases, stock={**made.stock, lamp: made.stock[lamp] + _ROUND * 1000})


def canary(its: Plan, fault: Fault, attempt: int) -> Purchase:
    """Return an order that is placed after a fault, to see that all is well again."""
    number = _FIRST_CANARY + 100 * fault.number + attempt
    return Purchase(number, CANARY, ((next(iter(its.stock)), 1),))


class PatientShop(Shop):
    """Tries again also after an error of the server (5xx), and counts all that it heard."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.heard: Counter[str] = Counter()

    def is_passing(self, answer: httpx2.Response) -> bool:
        """Return whether to try again."""
        self.heard[str(answer.status_code)] += 1
        return answer.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR or super().is_passing(answer)


class Load:
    """All orders of a plan, spread over so many seconds; those that are late go at once."""

    def __init__(self, shop: PatientShop, its: Plan, seconds: float, seed: int) -> None:
        self._shop = shop
        self._seconds = seconds
        self._jobs = [each for each in its.purchases for _ in range(2 if each.twice else 1)]
        self._draw = random.Random(seed)  # noqa: S311  no secret
        self._next = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.receipts: list[Receipt] = []
        self.refused: list[str] = []

    @property
    def unanswered(self) -> int:
        """How many requests came to nothing known: not sent, or their thread died of what nobody expected."""
        return len(self._jobs) - len(self.receipts) - len(self.refused)

    def run(self) -> None:
        """Send all, and return when each has been accepted or refused for good."""
        began = time.monotonic()
        threads = [threading.Thread(target=self._buy, args=(began,), daemon=True) for _ in range(_THREADS)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            self._stop.set()

    def _buy(self, began: float) -> None:
        while not self._stop.is_set():
            with self._lock:
                if self._next == len(self._jobs):
                    return
                purchase, due = self._jobs[self._next], self._next * self._seconds / len(self._jobs)
                self._next += 1
                regret_s = self._draw.random() * _REGRET_S
            self._stop.wait(max(0.0, began + due - time.monotonic()))
            try:
                receipt = self._shop.buy(purchase)
                self.receipts.append(receipt)
                if purchase.kind == BY_CUSTOMER:
                    self._stop.wait(regret_s)
                    cancel(self._shop.buyer(purchase), receipt.order_id, self._stop.is_set)
            except CommandError as error:
                self.refused.append(error.format_message())
            except RuntimeError:  # a connection that is closed because the run is called off
                if not self._stop.is_set():
                    raise


def cancel(buyer: Api, order_id: str, give_up: Callable[[], bool]) -> None:
    """Ask for the cancellation until there is an answer: accepted, done, or too late."""
    until = time.monotonic() + 300.0
    while not give_up() and time.monotonic() < until:
        try:
            answer = buyer.send(
                "POST", f"/v1/orders/{order_id}/cancellation", idempotency_key=f"cancel-{order_id}"
            )
        except httpx2.TransportError:
            time.sleep(_PAUSE_S)
            continue
        if answer.status_code in _SETTLED:
            return
        time.sleep(_PAUSE_S)
