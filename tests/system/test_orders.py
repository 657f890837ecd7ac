"""What customers see of orders on a whole running stack, in good times and in bad."""

import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from buyer import Buyer
from running_stack import RunningStack, eventually

from local_stack import state


@pytest.fixture(scope="module")
def alice(stack: RunningStack) -> Buyer:
    return Buyer(stack)


def invariants_hold(stack: RunningStack) -> bool:
    return stack.run("check", "--settle", "30", "--at-rest", check=False).returncode == 0


def test_an_order_is_completed_and_paid_once(alice: Buyer) -> None:
    sku = alice.stocked(5, price=700)

    answer = alice.order(sku, 2, Prefer="wait=10")

    assert answer.status_code == 201
    assert answer.headers["Preference-Applied"] == "wait=10"
    (order,) = alice.final([answer.json()["id"]])
    assert order["status"] == "completed"
    assert order["total"] == {"amount": 1400, "currency": "EUR"}
    assert alice.available(sku) == 3
    assert alice.payment_of(order["id"])["status"] == "captured"


def test_an_order_beyond_the_stock_is_cancelled_and_says_so(alice: Buyer) -> None:
    sku = alice.stocked(1)

    (order,) = alice.final([alice.order(sku, 2).json()["id"]])

    assert (order["status"], order["reason"]) == ("cancelled", "out_of_stock")
    assert sku in order["detail"]
    assert alice.available(sku) == 1


def test_a_declined_payment_gives_the_stock_back(alice: Buyer) -> None:
    sku = alice.stocked(1)

    (order,) = alice.final([alice.order(sku, 1, "tok_declined").json()["id"]])

    assert (order["status"], order["reason"]) == ("cancelled", "payment_declined")
    assert alice.available(sku) == 1


@pytest.mark.parametrize("method", ["tok_slow", "tok_timeout", "tok_flaky"])
def test_a_provider_in_trouble_only_delays(alice: Buyer, method: str) -> None:
    sku = alice.stocked(1)

    (order,) = alice.final([alice.order(sku, 1, method).json()["id"]])

    assert order["status"] == "completed"
    assert alice.payment_of(order["id"])["status"] == "captured"


def test_fifty_concurrent_posts_with_one_key_make_one_order(stack: RunningStack, alice: Buyer) -> None:
    sku, key = alice.stocked(100), f"same-{time.time_ns()}"
    body = alice.body(sku)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: alice.post("/v1/orders", body, key=key), range(50)))

    assert {answer.status_code for answer in answers} <= {202, 409}
    accepted = [answer for answer in answers if answer.status_code == 202]
    first = [answer for answer in accepted if "Idempotency-Replayed" not in answer.headers]
    assert len(first) == 1
    assert {answer.json()["id"] for answer in accepted} == {first[0].json()["id"]}
    alice.final([first[0].json()["id"]])
    assert alice.available(sku) == 99

    _flush_redis(stack)

    again = alice.post("/v1/orders", body, key=key)
    assert (again.status_code, again.content) == (202, first[0].content)
    assert again.headers["Idempotency-Replayed"] == "true"
    other = alice.post("/v1/orders", alice.body(sku, 2), key=key)
    assert other.status_code == 422


def _flush_redis(stack: RunningStack) -> None:
    kept = state.load(stack.data)
    password = kept.admin_passwords["redis"]
    redis.Redis(port=kept.port_of("redis"), password=password).flushall()


def test_two_hundred_buyers_of_fifty_units_get_exactly_fifty(alice: Buyer) -> None:
    sku = alice.stocked(50)

    orders = alice.final(alice.order_many(200, sku, at_once=32), seconds=90)

    outcomes = Counter((order["status"], order["reason"]) for order in orders)
    assert outcomes == {("completed", None): 50, ("cancelled", "out_of_stock"): 150}
    assert alice.available(sku) == 0


def test_a_customer_may_cancel_while_the_order_waits(stack: RunningStack, alice: Buyer) -> None:
    sku = alice.stocked(1)
    stack.run("stop", "inventory-worker")
    order_id = alice.order(sku).json()["id"]

    first = alice.post(f"/v1/orders/{order_id}/cancellation")
    again = alice.post(f"/v1/orders/{order_id}/cancellation")
    stack.run("start", "inventory-worker")

    assert (first.status_code, first.json()["status"]) == (202, "cancelling")
    assert again.status_code == 202
    (order,) = alice.final([order_id])
    assert (order["status"], order["reason"]) == ("cancelled", "by_customer")
    assert alice.available(sku) == 1
    assert alice.post(f"/v1/orders/{order_id}/cancellation").status_code == 200


def test_a_completed_order_cannot_be_cancelled(alice: Buyer) -> None:
    (order,) = alice.final([alice.order(alice.stocked(1)).json()["id"]])

    refused = alice.post(f"/v1/orders/{order['id']}/cancellation")

    assert refused.status_code == 409
    assert refused.json()["type"] == "/problems/order-completed"


def test_orders_are_accepted_while_inventory_is_down_and_finished_after(
    stack: RunningStack, alice: Buyer
) -> None:
    sku = alice.stocked(50)
    stack.run("stop", "inventory")

    ids = alice.order_many(50, sku)
    time.sleep(1)
    waiting = {alice.get(f"/v1/orders/{order_id}").json()["status"] for order_id in ids}
    stack.run("start", "inventory")

    assert waiting == {"pending"}
    assert {order["status"] for order in alice.final(ids, seconds=30)} == {"completed"}
    story = stack.run("order", ids[0]).stdout
    assert "inventory.reserve_stock" in story


def test_orders_are_accepted_while_the_broker_is_down_and_finished_after(
    stack: RunningStack, alice: Buyer
) -> None:
    sku = alice.stocked(500)
    stack.run("stop", "rabbitmq")

    ids = alice.order_many(500, sku)
    stack.run("start", "rabbitmq")

    assert {order["status"] for order in alice.final(ids, seconds=120)} == {"completed"}
    assert alice.available(sku) == 0


def test_killing_workers_in_the_middle_loses_and_doubles_nothing(stack: RunningStack, alice: Buyer) -> None:
    sku = alice.stocked(200)
    victims = ["orders-worker", "inventory-worker", "payments-executor", "payments-worker"]

    with ThreadPoolExecutor(1) as pool:
        placing = pool.submit(alice.order_many, 200, sku)
        for name in victims:
            time.sleep(0.5)
            os.kill(stack.process(name)["pid"], signal.SIGKILL)
        ids = placing.result()

    assert {order["status"] for order in alice.final(ids, seconds=90)} == {"completed"}
    assert alice.available(sku) == 0
    assert eventually(lambda: all(stack.process(name)["state"] == "ready" for name in victims))


def test_a_suspended_customer_cannot_order(stack: RunningStack, alice: Buyer) -> None:
    bob = Buyer(stack, "bob@example.com")
    sku = alice.stocked(3)
    bobs_id = bob.order(sku).json()["customer_id"]

    suspended = alice.post(f"/v1/customers/{bobs_id}/suspension", {"reason": "test"}, staff=True)

    assert suspended.status_code < 300, suspended.text
    assert eventually(lambda: bob.order(sku).status_code == 403, seconds=10)


def test_afterwards_every_invariant_holds(stack: RunningStack) -> None:
    assert invariants_hold(stack), stack.run("check", check=False).stdout
