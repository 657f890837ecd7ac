"""The count after the storm: what was promised against what is there, by every record that there is."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg

from orderflow_cli.chaos.load import BY_CUSTOMER
from orderflow_cli.chaos.poison import MARK
from orderflow_cli.client import Api
from orderflow_cli.demo_plan import DECLINED, NO_FUNDS, SCARCE
from orderflow_cli.demo_shop import Receipt
from orderflow_cli.names import SERVICES

FINAL = frozenset({"completed", "cancelled"})
_PAGE, _RECORDS = 200, 1000
_ALWAYS = {"completed", "expired", "payment_in_doubt"}
"""How any order may end under faults: as it should, or given up at a deadline."""
_ENDS = {
    SCARCE: _ALWAYS | {"out_of_stock"},
    DECLINED: {"payment_declined", "expired", "payment_in_doubt"},
    NO_FUNDS: {"payment_declined", "expired", "payment_in_doubt"},
    BY_CUSTOMER: _ALWAYS | {"by_customer"},
}


@dataclass
class Orders:
    """What became of the orders of a run."""

    completed: int = 0
    cancelled: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def count_orders(receipts: Sequence[Receipt], orders: Iterable[Mapping[str, Any]]) -> Orders:
    """Compare the receipts (one for each 202) with all orders of the run."""
    known = {str(order["id"]): order for order in orders}
    promised = {receipt.order_id: receipt.purchase for receipt in receipts}
    found = Orders(lost=sorted(promised.keys() - known.keys()))
    by_purchase: dict[int, set[str]] = {}
    for receipt in receipts:
        by_purchase.setdefault(receipt.purchase.number, set()).add(receipt.order_id)
    found.doubled = [f"order {number}: {len(ids)} ids" for number, ids in by_purchase.items() if len(ids) > 1]
    found.doubled += [
        f"{order_id}: promised to nobody" for order_id in sorted(known.keys() - promised.keys())
    ]
    reasons: Counter[str] = Counter()
    for order_id, purchase in promised.items():
        order = known.get(order_id)
        if order is None:
            continue
        if order["status"] not in FINAL:
            found.stuck.append(f"{order_id}: {order['status']}")
            continue
        end = "completed" if order["status"] == "completed" else str(order["reason"])
        reasons[end] += 1
        if end not in _ENDS.get(purchase.kind, _ALWAYS):
            found.wrong.append(f"{order_id}: {purchase.kind}, but {end}")
    found.completed = reasons.pop("completed", 0)
    found.cancelled = dict(sorted(reasons.items()))
    return found


def orders_of(api: Api, run: str) -> list[dict[str, Any]]:
    """Return every order of the run."""
    return api.items("/v1/orders", reference=run, limit=_PAGE)


def still_open(api: Api, run: str) -> int:
    """Return how many orders of the run are not final; of very many, a lower bound."""
    states = ("pending", "reserved", "confirmed", "cancelling")
    return sum(
        len(api.get("/v1/orders", reference=run, status=each, limit=_PAGE)["items"]) for each in states
    )


def charged_twice(api: Api, ids: Iterable[str]) -> list[str]:
    """Return the orders that the provider charged more than once, by its own books."""
    ours = set(ids)
    records = api.items("/ops/payments/provider-records", limit=_RECORDS)
    charges = Counter(str(each["order_id"]) for each in records if str(each["order_id"]) in ours)
    return [f"{order_id}: {times} charges" for order_id, times in charges.items() if times > 1]


def sold_twice(inventory_url: str, ids: Iterable[str]) -> list[str]:
    """Return the orders whose goods left the stock more than once, by Inventory's own ledger."""
    query = """
        SELECT order_id, sku, count(*) FROM stock_movements
        WHERE kind = 'sale' AND order_id = ANY(%s) GROUP BY order_id, sku HAVING count(*) > 1
    """
    with psycopg.connect(inventory_url, connect_timeout=5) as connection:
        rows = connection.execute(query, ([UUID(each) for each in ids],)).fetchall()
    return [f"{order_id}: {sku} sold {times} times" for order_id, sku, times in rows]


@dataclass
class Letters:
    """The dead letters of a run: by cause, and which nobody has caused on purpose."""

    causes: dict[str, int] = field(default_factory=dict)
    unexplained: list[str] = field(default_factory=list)
    marks: dict[str, set[str]] = field(default_factory=dict)
    """The causes that each mark of poison died of: one, unless it was copied or something is wrong."""
    ours: list[tuple[str, str]] = field(default_factory=list)


def known_letters(api: Api) -> set[str]:
    """Return the ids of all dead letters that there are."""
    return {str(each["id"]) for service in SERVICES for each in _letters(api, service)}


def count_letters(api: Api, before: set[str]) -> Letters:
    """Return the dead letters that were not there before.

    One that bears the mark of poison is explained: it may be of an earlier run that was called off.
    """
    found, causes = Letters(), Counter[str]()
    for service in SERVICES:
        for each in _letters(api, service):
            letter_id = str(each["id"])
            if letter_id in before:
                continue
            causes[str(each["cause"])] += 1
            whole = api.get(f"/ops/{service}/dead-letters/{letter_id}")
            mark = str((whole.get("headers") or {}).get(MARK, ""))
            if mark:
                found.marks.setdefault(mark, set()).add(str(each["cause"]))
                found.ours.append((service, letter_id))
            else:
                found.unexplained.append(f"{service}: {each['type']}, {each['cause']}: {each['reason']}")
    found.causes = dict(sorted(causes.items()))
    return found


def discard_poison(api: Api, letters: Letters, run: str) -> None:
    """Close the dead letters that we caused ourselves."""
    for service, letter_id in letters.ours:
        path = f"/ops/{service}/dead-letters/{letter_id}/discard"
        api.answer("POST", path, {"reason": f"published by {run}"}, idempotency_key=f"{run}-{letter_id}")


def _letters(api: Api, service: str) -> list[dict[str, Any]]:
    return api.items(f"/ops/{service}/dead-letters", status="any", limit=_PAGE)
