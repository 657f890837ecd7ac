"""Waiting: for an order that was placed after a fault, for rest after the storm, for the poison to die."""

import time
from collections.abc import Callable

import httpx2

from orderflow_cli.chaos import count
from orderflow_cli.chaos.load import PatientShop, canary
from orderflow_cli.chaos.scene import Scene
from orderflow_cli.chaos.schedule import Fault
from orderflow_cli.client import Api
from orderflow_cli.demo_plan import Plan
from orderflow_cli.demo_shop import Receipt
from orderflow_cli.errors import CommandError

_CANARY_S, _REST_S, _LETTERS_S = 600.0, 420.0, 150.0
_POLL_S, _SAY_EVERY_S = 0.3, 5.0


def send_canary(shop: PatientShop, its: Plan, fault: Fault, note: Callable[[Receipt], None]) -> None:
    """Place orders until one is completed; CommandError if none is in time. Each is noted when it is accepted."""
    until, attempt = time.monotonic() + _CANARY_S, 0
    while time.monotonic() < until:
        purchase = canary(its, fault, attempt)
        receipt = shop.buy(purchase)
        note(receipt)
        if _end(shop.buyer(purchase), receipt.order_id, until) == "completed":
            return
        attempt += 1
    raise CommandError(f"no order placed after it was completed in {_CANARY_S:g} s")


def _end(buyer: Api, order_id: str, until: float) -> str:
    """Return an order's final status, or nothing if it has none in time."""
    while time.monotonic() < until:
        try:
            answer = buyer.send("GET", f"/v1/orders/{order_id}")
        except httpx2.TransportError:
            answer = None
        if answer is not None and answer.is_success and answer.json()["status"] in count.FINAL:
            return str(answer.json()["status"])
        time.sleep(_POLL_S)
    return ""


def await_rest(api: Api, run: str, say: Callable[[str], None]) -> None:
    """Wait until every order of the run is final, at most for some minutes; who is not is stuck."""
    until, say_at = time.monotonic() + _REST_S, 0.0
    while time.monotonic() < until:
        try:
            open_ = count.still_open(api, run)
        except CommandError as error:
            say(error.format_message())
        else:
            if not open_:
                return
            if time.monotonic() > say_at:
                say(f"{open_} orders are still open")
                say_at = time.monotonic() + _SAY_EVERY_S
        time.sleep(1.0)


def await_letters(api: Api, before: set[str], scene: Scene | None) -> count.Letters:
    """Return the dead letters of the run, once all poison has become one, or too much time has passed."""
    taken = set(scene.poison_taken) if scene else set()
    until = time.monotonic() + _LETTERS_S
    while True:
        letters = count.count_letters(api, before)
        if taken <= letters.marks.keys() or time.monotonic() > until:
            return letters
        time.sleep(2.0)
