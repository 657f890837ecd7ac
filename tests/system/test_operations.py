"""What operators see of a running stack: probes, metrics, Flower, logs."""

import json
from typing import Any

import httpx2
import pytest
from buyer import Buyer
from running_stack import RunningStack, eventually

OURS = {"api", "worker", "relay"}


@pytest.fixture(scope="module")
def order_id(stack: RunningStack) -> str:
    """A completed order, so that there is something to see."""
    alice = Buyer(stack)
    placed = alice.order(alice.stocked(1)).json()["id"]
    alice.final([placed])
    return str(placed)


def addresses(stack: RunningStack) -> dict[str, str]:
    return {p["name"]: p["address"] for p in stack.status()["processes"] if p["role"] in OURS}


def metrics_of(address: str) -> str:
    return httpx2.get(f"http://{address}/metrics", timeout=10).text


def test_every_process_answers_its_probes_and_metrics(stack: RunningStack, order_id: str) -> None:
    for name, address in addresses(stack).items():
        for path in ("/health/live", "/health/ready", "/metrics"):
            answer = httpx2.get(f"http://{address}{path}", timeout=10)
            assert answer.status_code == 200, (name, path, answer.text)


@pytest.mark.parametrize(
    ("process", "metric"),
    [
        ("orders-api", "orderflow_http_requests_total"),
        ("orders-api", "orderflow_orders_open"),
        ("orders-worker", 'orderflow_messages_total{outcome="applied",type="inventory.stock_reserved"}'),
        ("orders-worker", "orderflow_order_time_to_confirmed_seconds_count"),
        ("orders-worker", 'orderflow_orders_ended_total{status="completed"}'),
        ("payments-executor", 'orderflow_messages_total{outcome="applied",type="payments.capture_payment"}'),
        ("orders-relay", "orderflow_outbox_lag_seconds"),
        ("orders-relay", 'orderflow_queue_messages{queue="orders"}'),
        ("orders-relay", "orderflow_dead_letters_open"),
        ("orders-relay", 'orderflow_published_total{outcome="confirmed"}'),
    ],
)
def test_what_is_measured_can_be_scraped(
    stack: RunningStack, order_id: str, process: str, metric: str
) -> None:
    assert metric in metrics_of(addresses(stack)[process])


def test_flower_sees_every_worker_and_every_message(stack: RunningStack, order_id: str) -> None:
    flower = stack.facts["flower"]
    with httpx2.Client(auth=(flower["user"], flower["password"]), timeout=10) as ops:

        def seen(path: str) -> Any:
            return ops.get(f"{flower['url']}{path}").json()

        workers = {"orders-worker", "inventory-worker", "customers-worker", "payments-worker"}
        workers.add("payments-executor")
        assert eventually(
            lambda: workers <= {name.partition("@")[0] for name in seen("api/workers?status=1")}
        )
        names = {task["name"] for task in seen("api/tasks?limit=500").values()}

    assert {"inventory.reserve_stock", "payments.authorize_payment"} <= names
    assert httpx2.get(flower["url"], timeout=10).status_code == 401


def test_the_logs_of_workers_are_json_that_names_the_order(stack: RunningStack, order_id: str) -> None:
    lines = stack.run("logs", "inventory-worker").stdout.splitlines()

    told = [json.loads(line) for line in lines if line.startswith("{")]
    about = [each for each in told if each.get("order_id") == order_id]
    assert {each["type"] for each in about} >= {"inventory.reserve_stock", "inventory.commit_stock"}
    assert {each["correlation_id"] for each in about} == {order_id}


@pytest.mark.parametrize("path", ["/metrics", "/rabbitmq/", "/flower/"])
def test_what_operators_see_is_guarded_at_the_gateway(stack: RunningStack, path: str) -> None:
    assert httpx2.get(f"{stack.url}{path}", timeout=10).status_code == 401


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/.well-known/jwks.json", "/health"])
def test_what_everybody_may_see_is_open(stack: RunningStack, path: str) -> None:
    assert httpx2.get(f"{stack.url}{path}", timeout=10, follow_redirects=True).status_code == 200


def test_every_problem_type_is_a_page(stack: RunningStack) -> None:
    refused = httpx2.post(f"{stack.url}/v1/orders", timeout=10)

    assert refused.status_code == 401
    assert httpx2.get(f"{stack.url}{refused.json()['type']}", timeout=10).status_code == 200
