"""What a demo came to, and what of it is wrong."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from orderflow_cli.demo_plan import Plan
from orderflow_cli.demo_shop import Receipt

Times = dict[str, int | None]


@dataclass
class Result:
    """The demo's document; `failures` says in words why it failed, if it did."""

    run: str
    orders: int
    completed: int
    cancelled: dict[str, int]
    open: int
    lost: int
    duplicates_refused: int
    confirmed_ms: Times
    confirmed_undisturbed_ms: Times
    faults: list[str]
    seconds: float
    invariants: dict[str, bool] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return it for a program."""
        return asdict(self)


def outcomes(orders: Iterable[Mapping[str, Any]]) -> tuple[int, dict[str, int]]:
    """Return how many orders completed, and how many were cancelled for each reason."""
    found = list(orders)
    cancelled = Counter(str(order["reason"]) for order in found if order["status"] == "cancelled")
    return sum(order["status"] == "completed" for order in found), dict(sorted(cancelled.items()))


def duplicates_refused(receipts: Iterable[Receipt]) -> int:
    """Count the purchases that were sent twice and made one order."""
    copies: dict[int, list[str]] = {}
    for receipt in receipts:
        if receipt.purchase.twice:
            copies.setdefault(receipt.purchase.number, []).append(receipt.order_id)
    return sum(len(ids) == 2 and len(set(ids)) == 1 for ids in copies.values())


def time_to_confirmed_ms(timeline: Iterable[Mapping[str, Any]]) -> float | None:
    """Return how long an order took from its acceptance to its confirmation; None if it was not confirmed."""
    at = {entry["event"]: datetime.fromisoformat(entry["at"]) for entry in timeline}
    if "accepted" not in at or "confirmed" not in at:
        return None
    return (at["confirmed"] - at["accepted"]).total_seconds() * 1000


def percentiles(times_ms: Iterable[float | None]) -> Times:
    """Return the middle and the 99th percentile."""
    known = sorted(each for each in times_ms if each is not None)
    if not known:
        return {"p50": None, "p99": None}
    return {name: round(known[min(int(len(known) * part), len(known) - 1)]) for name, part in _PARTS.items()}


_PARTS = {"p50": 0.5, "p99": 0.99}


def failures(plan: Plan, result: Result, broken: Sequence[str]) -> list[str]:
    """Say in words what is not as the plan promises."""
    found = []
    expected: list[tuple[str, object, object]] = [
        ("orders accepted", result.orders, len(plan.purchases)),
        ("orders lost", result.lost, 0),
        ("orders still open", result.open, 0),
        ("orders completed", result.completed, plan.completed),
        ("orders cancelled", result.cancelled, dict(sorted(plan.cancelled.items()))),
        ("duplicates refused", result.duplicates_refused, plan.duplicates),
    ]
    found += [f"{what}: {seen}, expected {wanted}" for what, seen, wanted in expected if seen != wanted]
    return [*found, *broken]
