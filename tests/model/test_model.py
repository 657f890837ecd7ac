"""One order, and all that can happen to it (docs/model.md); `python tests/model` prints the figures."""

import pytest
from check import Check, check
from model import Model
from money_part import Payments
from one_step import Stage
from orders_part import Orders
from search import Everything, State
from stock_part import Inventory

REASONS = {
    "by_customer",
    "customer_suspended",
    "expired",
    "out_of_stock",
    "payment_declined",
    "payment_in_doubt",
}


@pytest.fixture(scope="module")
def done() -> Check:
    return check()


def test_every_promise_holds_in_every_state_and_every_state_comes_to_rest(done: Check) -> None:
    assert done.broken is None, f"\n{done.broken}"
    assert len(done.reports) == 3


def test_the_search_meets_every_way_an_order_can_end(done: Check) -> None:
    """What is never met is not checked: a search that lost its branches would pass."""
    assert done.reasons == REASONS
    assert min(report.states for report in done.reports.values()) > 50
    assert done.reports["everything that can happen"].states > 50_000


def test_leaving_out_what_another_state_stands_for_leaves_out_nothing() -> None:
    """Without faults the plain search is small enough: each state for itself, no step taken ahead of others."""
    stage = Stage()
    model = Model([Orders(stage, wishes=()), Inventory(stage), Payments(stage, faults=False)])

    everything = Everything(model, ())
    everything.run()

    plain = _each_for_itself(model)
    assert set(everything.largest) == {holding for holding, _ in plain}
    assert len(plain) > 50 * len(everything.largest)
    assert all(
        any(not network & ~other for other in everything.largest[holding]) for holding, network in plain
    )


def _each_for_itself(model: Model) -> set[State]:
    seen = {model.start()}
    waiting = list(seen)
    while waiting:
        holding, network = waiting.pop()
        for place, number in enumerate(holding):
            for move in model.moves(place, number, network):
                if not move.needs & ~network:
                    after = (*holding[:place], move.held, *holding[place + 1 :])
                    state = (after, network | move.says | move.sets)
                    if state not in seen:
                        seen.add(state)
                        waiting.append(state)
    return seen
