"""Every process is restarted once, one after another, while customers order: nobody outside notices."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import httpx2
from buyer import Buyer
from running_stack import RunningStack

from local_stack import client, http

SERVERS = {"postgres", "redis", "rabbitmq"}
# Consumers before producers, so that whoever would get a message twice counts it.
ORDER = ("worker", "relay", "server", "flower", "api", "gateway")
# Each of the five consumers may give back what it holds; at this load that is a few messages.
MOST_GIVEN_BACK = 50


@dataclass
class Load:
    """Customers who order and look, each request once: what they were answered, and what failed."""

    stack: RunningStack
    sku: str
    placed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    asked: int = 0
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Order about eight times a second, half over kept connections and half over new ones."""
        token = self.stack.token("--customer", "alice@example.com")
        with ThreadPoolExecutor() as pool:
            customers = [pool.submit(self._shop, token, keeping) for keeping in (True, False) * 2]
            pages = pool.submit(self._look_at_pages)
            try:
                yield
            finally:
                self._over.set()
        for each in [*customers, pages]:
            each.result()

    def _shop(self, token: str, keeping: bool) -> None:
        with httpx2.Client(base_url=self.stack.url, timeout=30) as kept:
            kept.headers["Authorization"] = f"Bearer {token}"
            while not self._over.wait(0.4):
                if keeping:
                    self._order_and_look(kept)
                else:
                    with httpx2.Client(base_url=self.stack.url, timeout=30, headers=kept.headers) as once:
                        self._order_and_look(once)

    def _order_and_look(self, connection: httpx2.Client) -> None:
        body, key = Buyer.body(self.sku), {"Idempotency-Key": str(uuid4())}
        answer = self._ask(connection, "POST", "/v1/orders", 202, json=body, headers=key)
        if answer is not None:
            order_id = answer.json()["id"]
            self.placed.append(order_id)
            for path in (f"/v1/orders/{order_id}", f"/v1/products/{self.sku}", "/v1/payments?limit=1"):
                self._ask(connection, "GET", path, 200)

    def _look_at_pages(self) -> None:
        flower = self.stack.facts["flower"]
        with httpx2.Client(
            base_url=self.stack.url, timeout=30, auth=(flower["user"], flower["password"])
        ) as ops:
            while not self._over.wait(0.5):
                for path in ("/flower/", "/metrics/customers", "/health"):
                    self._ask(ops, "GET", path, 200)

    def _ask(
        self, connection: httpx2.Client, method: str, path: str, expected: int, **request: object
    ) -> httpx2.Response | None:
        self.asked += 1
        try:
            answer = connection.request(method, path, **request)  # type: ignore[arg-type]
        except httpx2.HTTPError as error:
            self.failed.append(f"{method} {path}: {error!r}")
            return None
        if answer.status_code != expected:
            self.failed.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
            return None
        return answer


def redelivered(stack: RunningStack) -> int:
    """Return how many messages RabbitMQ has delivered anew since it was started."""
    answer = http.get(client.access(stack.data).management_url("flower") + "/api/queues/orderflow")
    assert answer is not None
    return sum(queue.get("message_stats", {}).get("redeliver", 0) for queue in json.loads(answer.body))


def absorbed(stack: RunningStack) -> int:
    """Return how often a worker, since it was started, was sent what it had handled before."""
    addresses = [each["address"] for each in stack.status()["processes"] if each["role"] == "worker"]
    pages = [httpx2.get(f"http://{address}/metrics", timeout=10).text for address in addresses]
    lines = [line for page in pages for line in page.splitlines() if line.startswith("orderflow_duplicates")]
    return sum(int(float(line.split()[-1])) for line in lines if "_total" in line)


def test_a_restart_of_every_process_fails_no_request_and_repeats_no_work(stack: RunningStack) -> None:
    alice, stocked = Buyer(stack), 10_000
    before = {each["name"]: each for each in stack.status()["processes"] if each["name"] not in SERVERS}
    names = sorted(before, key=lambda name: ORDER.index(before[name]["role"]))
    load, delivered_anew = Load(stack, alice.stocked(stocked)), redelivered(stack)

    with load.running():
        stack.run("restart", *names, seconds=400)

    assert load.failed == [], f"{len(load.failed)} of {load.asked} requests failed"
    after = {each["name"]: each for each in stack.status()["processes"]}
    assert [name for name in names if after[name]["pid"] == before[name]["pid"]] == []
    assert {name: after[name]["restarts"] for name in names} == {n: before[n]["restarts"] for n in names}
    assert {order["status"] for order in alice.final(load.placed)} == {"completed"}
    assert len(set(load.placed)) == len(load.placed) > 100
    assert alice.available(load.sku) == stocked - len(load.placed)
    assert absorbed(stack) == 0
    assert redelivered(stack) - delivered_anew <= MOST_GIVEN_BACK
    stack.run("check", "--settle", "30", "--at-rest")
