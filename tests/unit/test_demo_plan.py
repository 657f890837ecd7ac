"""The demo's plan and its verdict, without a stack."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orderflow_cli import accepted
from orderflow_cli.accepted import Accepted, Ledger
from orderflow_cli.demo_plan import Plan, plan
from orderflow_cli.demo_result import (
    Result,
    duplicates_refused,
    failures,
    outcomes,
    percentiles,
    time_to_confirmed_ms,
)
from orderflow_cli.demo_shop import Receipt
from orderflow_cli.errors import CommandError


def perfect(its: Plan) -> Result:
    """What a run of the plan must come to."""
    nothing: dict[str, int | None] = {"p50": None, "p99": None}
    return Result(
        its.run, len(its.purchases), its.completed, dict(sorted(its.cancelled.items())), 0, 0, its.duplicates,
        nothing, nothing, [], 0.0,
    )  # fmt: skip


def test_two_hundred_orders_meet_every_kind_of_end() -> None:
    its = plan("demo-x", 200)

    assert its.completed == 170
    assert its.cancelled == {"out_of_stock": 10, "payment_declined": 20}
    assert its.duplicates == 20
    assert {each.method for each in its.purchases} == {
        "tok_visa", "tok_declined", "tok_insufficient_funds", "tok_slow", "tok_timeout", "tok_flaky",
    }  # fmt: skip


def test_a_plan_of_the_same_size_is_the_same_but_for_its_names() -> None:
    first, second = plan("demo-a", 77), plan("demo-b", 77)

    assert [each.kind for each in first.purchases] == [each.kind for each in second.purchases]
    assert all(sku.startswith("demo-b-") for sku in second.stock)


@pytest.mark.parametrize("orders", [1, 2, 19, 41])
def test_a_plan_of_any_size_stocks_what_it_sells(orders: int) -> None:
    its = plan("demo-x", orders)
    wanted = [sku for each in its.purchases for sku, _ in each.lines]

    assert its.completed + sum(its.cancelled.values()) == orders
    assert set(wanted) <= its.stock.keys()


def test_a_perfect_run_has_no_failures() -> None:
    its = plan("demo-x", 200)

    assert failures(its, perfect(its), []) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lost": 1}, "orders lost: 1, expected 0"),
        ({"open": 2}, "orders still open: 2, expected 0"),
        ({"completed": 169}, "orders completed: 169, expected 170"),
        ({"duplicates_refused": 19}, "duplicates refused: 19, expected 20"),
        ({"orders": 201}, "orders accepted: 201, expected 200"),
    ],
)
def test_what_differs_from_the_plan_fails_the_demo(change: dict[str, Any], said: str) -> None:
    its = plan("demo-x", 200)

    assert failures(its, replace(perfect(its), **change), []) == [said]


def test_a_broken_invariant_fails_the_demo() -> None:
    its = plan("demo-x", 200)

    assert failures(its, perfect(its), ["never_oversold: LAMP"]) == ["never_oversold: LAMP"]


def test_a_duplicate_is_refused_if_both_copies_made_one_order() -> None:
    twice = next(each for each in plan("demo-x", 20).purchases if each.twice)
    copies = [Receipt(twice, "order-1", replayed=False), Receipt(twice, "order-1", replayed=True)]

    assert duplicates_refused(copies) == 1
    assert duplicates_refused([copies[0], replace(copies[1], order_id="order-2")]) == 0


def test_outcomes_percentiles_and_times_are_counted() -> None:
    orders = [{"status": "completed", "reason": None}] * 2 + [{"status": "cancelled", "reason": "expired"}]
    timeline = [
        {"event": "accepted", "at": "2026-01-01T12:00:00Z"}, {"event": "confirmed", "at": "2026-01-01T12:00:01.5Z"},
    ]  # fmt: skip

    assert outcomes(orders) == (2, {"expired": 1})
    assert percentiles([None, *range(1, 101)]) == {"p50": 51, "p99": 100}
    assert percentiles([]) == {"p50": None, "p99": None}
    assert time_to_confirmed_ms(timeline) == 1500
    assert time_to_confirmed_ms(timeline[:1]) is None


def test_an_order_is_on_disk_before_it_counts(tmp_path: Path) -> None:
    with Ledger(tmp_path, "run-1", "local") as ledger:
        ledger.write("alice", "k-1", "order-1")

        assert ledger.ids == {"order-1"}
        assert accepted.read(tmp_path, "local") == [Accepted("local", "alice", "k-1", "order-1")]
        assert accepted.read(tmp_path, "https://elsewhere") == []


def test_a_line_that_was_cut_off_was_never_counted_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    with Ledger(tmp_path, "run-1", "local") as ledger:
        ledger.write("alice", "k-1", "order-1")
    path = tmp_path / "accepted" / "run-1.jsonl"
    whole = path.read_text()

    path.write_text(whole + whole[:10])
    assert len(accepted.read(tmp_path, "local")) == 1

    path.write_text(json.dumps({"id": 1}) + "\n")
    with pytest.raises(CommandError, match="line 1 is damaged"):
        accepted.read(tmp_path, "local")
