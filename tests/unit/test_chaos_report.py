"""The count after a run: what counts as lost, doubled, stuck or wrong, and what makes the run fail."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from orderflow_cli.chaos.absorbed import counted
from orderflow_cli.chaos.count import Letters, Orders, count_letters, count_orders
from orderflow_cli.chaos.load import BY_CUSTOMER, Load, PatientShop
from orderflow_cli.chaos.poison import DOSES, message
from orderflow_cli.chaos.report import text
from orderflow_cli.chaos.scene import Scene
from orderflow_cli.chaos.schedule import Fault
from orderflow_cli.chaos.storm import Struck
from orderflow_cli.chaos.verdict import Evidence, result
from orderflow_cli.client import Api
from orderflow_cli.demo_plan import DECLINED, PLAIN, SCARCE, Plan, Purchase
from orderflow_cli.demo_shop import Receipt
from orderflow_cli.errors import CommandError
from orderflow_cli.invariants.judge import Contradiction, Report
from shared_events import metrics
from shared_events.contract import UnknownContract, Unreadable
from shared_events.delivery import Delivery, read_delivery
from shared_events.outbox import MESSAGES
from shared_events.retries import Bury, Forged, decide


def receipt(number: int, order_id: str, kind: str = PLAIN, *, replayed: bool = False) -> Receipt:
    return Receipt(Purchase(number, kind, (("LAMP", 1),)), order_id, replayed)


def order(order_id: str, status: str, reason: str | None = None) -> dict[str, Any]:
    return {"id": order_id, "status": status, "reason": reason}


def evidence(**found: Any) -> Evidence:
    usual: dict[str, Any] = {
        "orders": Orders(completed=1),
        "letters": Letters(),
        "struck": [Struck(Fault(1, "broker-killed", 3.0, "rabbitmq"), 3.1, recovered_after_s=9.5)],
        "receipts": [receipt(0, "a")],
        "refused": [],
        "unanswered": 0,
        "heard": {"503": 2},
        "report": Report({"never_oversold": True}),
        "absorbed": 7,
        "scene": None,
    }
    return Evidence(**{**usual, **found})


def test_all_that_was_promised_and_is_as_planned_counts_by_its_end() -> None:
    receipts = [
        receipt(0, "a"),
        receipt(1, "b", SCARCE),
        receipt(2, "c", BY_CUSTOMER),
        receipt(3, "d", DECLINED),
    ]
    orders = [
        order("a", "completed"),
        order("b", "cancelled", "out_of_stock"),
        order("c", "cancelled", "by_customer"),
        order("d", "cancelled", "expired"),
    ]

    found = count_orders(receipts, orders)

    assert found == Orders(1, {"by_customer": 1, "expired": 1, "out_of_stock": 1})


def test_an_order_that_was_promised_and_is_not_there_is_lost() -> None:
    assert count_orders([receipt(0, "a")], []).lost == ["a"]


def test_one_purchase_with_two_orders_is_doubled_and_so_is_an_order_that_nobody_was_promised() -> None:
    same = [receipt(0, "a"), receipt(0, "a", replayed=True)]
    assert count_orders(same, [order("a", "completed")]).doubled == []

    two = count_orders([receipt(0, "a"), receipt(0, "b")], [order("a", "completed"), order("b", "completed")])
    stranger = count_orders([receipt(0, "a")], [order("a", "completed"), order("x", "completed")])

    assert len(two.doubled) == 1
    assert stranger.doubled == ["x: promised to nobody"]


def test_an_order_that_is_not_final_is_stuck() -> None:
    assert count_orders([receipt(0, "a")], [order("a", "confirmed")]).stuck == ["a: confirmed"]


@pytest.mark.parametrize(
    ("kind", "its"),
    [
        (DECLINED, order("a", "completed")),
        (PLAIN, order("a", "cancelled", "out_of_stock")),
        (SCARCE, order("a", "cancelled", "payment_declined")),
        (PLAIN, order("a", "cancelled", "by_customer")),
    ],
)
def test_an_end_that_no_fault_can_explain_is_wrong(kind: str, its: dict[str, Any]) -> None:
    assert len(count_orders([receipt(0, "a", kind)], [its]).wrong) == 1


class LettersApi(Api):
    """An API whose Orders has the dead letters of the test, and whose other services have none."""

    def __init__(self, letters: list[dict[str, Any]]) -> None:
        self._letters = {each["id"]: each for each in letters}

    def items(self, path: str, **_query: Any) -> list[dict[str, Any]]:
        return list(self._letters.values()) if "orders" in path else []

    def get(self, path: str, **_query: Any) -> dict[str, Any]:
        return self._letters[path.rpartition("/")[2]]


def letter(letter_id: str, cause: str, **headers: str) -> dict[str, Any]:
    return {"id": letter_id, "cause": cause, "type": "t", "reason": "r", "headers": headers}


def test_only_a_dead_letter_with_the_mark_of_poison_is_explained() -> None:
    api = LettersApi(
        [
            letter("old", "unreadable"),
            letter("ours", "unreadable", poison="p1"),
            letter("nobody's", "unreadable"),
            letter("product", "attempts-used-up: KeyError"),
        ]
    )

    found = count_letters(api, {"old"})

    assert found.causes == {"attempts-used-up: KeyError": 1, "unreadable": 2}
    assert found.ours == [("orders", "ours")]
    assert found.marks == {"p1": {"unreadable"}}
    assert len(found.unexplained) == 2


def test_the_document_has_what_is_promised_and_can_be_written_as_json() -> None:
    document = json.loads(json.dumps(result("chaos-x", 7, 10.0, evidence()).document()))

    assert document["seed"] == 7
    assert document["failures"] == []
    assert (document["accepted"], document["completed"], document["cancelled"]) == (1, 1, {})
    assert (document["lost"], document["doubled"], document["stuck"]) == (0, 0, 0)
    assert (document["dead_letters"], document["absorbed_duplicates"]) == ({}, 7)
    assert document["invariants"] == {"never_oversold": True}
    [fault] = document["faults"]
    assert (fault["kind"], fault["at"], fault["recovered_after_s"]) == ("broker-killed", 3.1, 9.5)


@pytest.mark.parametrize(
    "found",
    [
        {"orders": Orders(1, lost=["a"])},
        {"orders": Orders(1, doubled=["a: 2 charges"])},
        {"orders": Orders(1, stuck=["a: pending"])},
        {"orders": Orders(1, wrong=["a: declined, but completed"])},
        {"orders": Orders(cancelled={"expired": 1})},
        {"refused": ["order 1 was not accepted"]},
        {"unanswered": 1},
        {"letters": Letters({"unreadable": 1}, unexplained=["orders: t, unreadable: r"])},
        {"struck": [Struck(Fault(1, "poison", 0.0, "messages"), 0.0, problem="RabbitMQ is away")]},
        {"struck": [Struck(Fault(1, "poison", 0.0, "messages"), 0.0)]},
        {"report": Report({"x": False}, broken=[Contradiction("x", "a", "is wrong")])},
        {"report": Report({"x": True}, settling=[Contradiction("x", "a", "is wrong", "a message")])},
    ],
    ids=str,
)
def test_anything_that_must_not_be_fails_the_run_and_is_said(found: dict[str, Any]) -> None:
    its = result("chaos-x", 1, 10.0, evidence(**found))

    assert len(its.failures) == 1
    assert its.failures[0] in " ".join(text(its).replace("\n", " ").split())


class Broken(Scene):
    """What is known of a stack after a run, and no stack."""

    def __init__(
        self, *, poison: Mapping[str, str] | None = None, copies: int = 0, overtaken: int = 0
    ) -> None:
        self.poison_taken = dict(poison or {})
        self.copies, self.overtaken = copies, overtaken


def struck(*kinds: str) -> list[Struck]:
    return [Struck(Fault(1, kind, 0.0, "messages"), 0.0, recovered_after_s=1.0) for kind in kinds]


@pytest.mark.parametrize(
    ("scene", "found", "said"),
    [
        (Broken(), {"report": Report({})}, "no invariant was read"),
        (Broken(), {"struck": struck("duplicate-all")}, "duplicate-all moved no message"),
        (Broken(copies=1), {"struck": struck("duplicate-all", "reorder")}, "reorder moved no message"),
        (Broken(poison={"p": "wrong shape"}), {}, "poison that is no dead letter: wrong shape"),
        (
            Broken(poison={"p": "wrong user"}),
            {"letters": Letters(marks={"p": {"unreadable"}})},
            "poison, wrong user, died of unreadable and not of forged",
        ),
        (Broken(), {}, ""),
        (Broken(copies=1, overtaken=1), {"struck": struck("duplicate-all", "reorder")}, ""),
        (Broken(poison={"p": "wrong user"}), {"letters": Letters(marks={"p": {"forged"}})}, ""),
    ],
)
def test_a_stack_on_which_little_was_tried_fails_the_run(
    scene: Scene, found: dict[str, Any], said: str
) -> None:
    assert result("chaos-x", 1, 10.0, evidence(scene=scene, **found)).failures == ([said] if said else [])


def test_elsewhere_no_invariant_need_be_read_and_none_is_said_to_hold() -> None:
    its = result("chaos-x", 1, 10.0, evidence(report=Report({}, left_out={"all": "no way in"}), struck=[]))
    its.left_out = {"clock": "this is not the local stack"}
    said = text(its)

    assert its.failures == []
    assert "none was read" in said
    assert "hold" not in said
    assert said.splitlines()[-1].endswith("No invariant was read. Left out: clock.")


@pytest.mark.parametrize("name", DOSES)
def test_each_poison_dies_of_the_cause_that_it_names(name: str) -> None:
    sent = message("mark", DOSES[name])
    its = sent.properties
    delivery = Delivery(
        sent.body, its["application_headers"], its["content_type"], its["content_encoding"],
        its["user_id"], MESSAGES, "inventory.release_stock",
    )  # fmt: skip

    with pytest.raises((Unreadable, UnknownContract, Forged)) as failed:
        read_delivery(delivery, "inventory")

    assert decide(failed.value, failures=99) == Bury(DOSES[name].cause)


class Counter(PatientShop):
    """A shop that accepts, refuses, or breaks down in a way that nobody expects."""

    def __init__(self, breaks_at: int) -> None:
        self._breaks_at = breaks_at

    def buy(self, purchase: Purchase) -> Receipt:
        if purchase.number == self._breaks_at:
            raise KeyError("id")
        if purchase.number == 0:
            raise CommandError("order 0 was refused")
        return Receipt(purchase, str(purchase.number), replayed=False)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(("breaks_at", "unanswered"), [(-1, 0), (3, 1)])
def test_a_request_whose_thread_died_is_missed(breaks_at: int, unanswered: int) -> None:
    its = Plan("x", tuple(Purchase(number, PLAIN, ()) for number in range(6)), {}, {})
    load = Load(Counter(breaks_at), its, 0.0, 1)
    load.run()

    assert load.unanswered == unanswered
    assert (len(load.receipts), len(load.refused)) == (5 - unanswered, 1)


def test_the_table_names_each_fault_with_its_time_and_its_recovery() -> None:
    said = text(result("chaos-x", 1, 10.0, evidence()))

    assert "3.1 s   broker-killed   rabbitmq" in said
    assert "9.5 s" in said
    assert "Nothing lost, nothing doubled, nothing stuck" in said


def test_absorbed_duplicates_are_counted_by_the_worker_that_acknowledges_them() -> None:
    before = metrics.ABSORBED._value.get()

    metrics.observe(metrics.absorbed(3))

    assert metrics.ABSORBED._value.get() == before + 3
    assert metrics.absorbed(0) == ()
    assert counted([b"orderflow_duplicates_absorbed_total 3.0", b"process_start_time_seconds 1.0"]) == 3.0
