"""What the bench prints and draws, given what it found."""

from pathlib import Path
from typing import Any

from bench import machine
from bench.contenders.line_up import BARE_FLASK, NAIVE_CELERY
from bench.figures import to_neighbours
from bench.plots import draw
from bench.report import text
from bench.rounds import turn_orders
from bench.sizes import FULL, QUICK
from bench.turns import Turn

TURN = {"orders_per_s": 250.0, "cpu_ms_per_order": {"api": 2.0, "total": 6.0}, "apart": {"simulator": 1.0}}
TIMES = {"low": {"p50": 20.0, "p99": 50.0}, "at_70": {"p50": 80.0, "p99": 200.0}}


def document() -> dict[str, Any]:
    other = {**TURN, "orders_per_s": 90.0, "confirmed_ms": {"low": TIMES["low"]}, "unfinished": 3,
             "wrong": ["LAMP is missing"], "does_not_guarantee": "loses orders"}  # fmt: skip
    return {
        **TURN,
        "confirmed_ms": TIMES,
        "intake_ms": TIMES,
        "intake_per_s": 900.0,
        "ratios": {"saga_vs_naive": 2.778, "saga_vs_dbos": None},
        "contenders": {"naive-celery": other, "bare-flask": {**TURN, "orders_per_s": 2000.0}},
        "quotas": {"left_out": "no rights"},
        "memory": {"orders-api": {"after_1": 1.0, "ratio": 1.0}},
        "connections": {"total": 7},
    }


def test_a_table_has_every_figure_and_who_failed() -> None:
    table = text(document())

    for part in (
        "250.0", "6.00", "loses orders; 3 unfinished; wrong: LAMP is missing", "saga_vs_naive", "2.778",
        "at least 3", "bare-flask: 2000.0", "left_out", "orders-api", "'total': 7",
    ):  # fmt: skip
        assert part in table


def test_a_part_of_a_run_can_be_printed_too() -> None:
    assert "orderflow" in text({**TURN, "ratios": {}})


def test_the_plots_are_png_and_svg(tmp_path: Path) -> None:
    draw(document(), tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.{kind}" for name in ("rates", "cpu", "times") for kind in ("png", "svg")
    }


def test_settings_are_told_and_secrets_are_not() -> None:
    given = {
        "ORDERFLOW_BATCH": "5",
        "ORDERFLOW_DATABASE_URL": "x",
        "ORDERFLOW_PASSWORD_ORDERS": "x",
        "HOME": "/",
    }

    assert machine.settings(given) == {"ORDERFLOW_BATCH": "5"}


def test_a_contender_that_failed_is_told_with_its_reason() -> None:
    failed = {"failed": "it closed the door", "does_not_guarantee": "anything"}

    table = text({**TURN, "contenders": {"dbos": failed, "bare-flask": failed}})

    assert "failed: it closed the door" in table


def test_cpu_is_told_in_the_order_of_the_tables_with_its_total() -> None:
    turn = Turn("run", 10, 1.0, 2.0, 0, drained=True, intake_ms=[], cpu_s={"other": 0.01, "api": 0.02})

    assert list(turn.cpu_ms().items()) == [("api", 2.0), ("other", 1.0), ("total", 3.0)]
    assert (turn.finished_per_s, turn.accepted_per_s) == (5.0, 10.0)


def test_unfinished_orders_do_not_count_for_the_rate() -> None:
    turn = Turn("run", 10, 1.0, 2.0, 4, drained=True, intake_ms=[])

    assert turn.finished_per_s == 3.0


def test_a_slow_contender_has_a_shorter_turn_and_a_bare_door_a_longer_one() -> None:
    assert turn_orders(FULL, NAIVE_CELERY, 28.0) == 840
    assert turn_orders(FULL, NAIVE_CELERY, 500.0) == FULL.orders
    assert turn_orders(QUICK, NAIVE_CELERY, 1.0) == 100
    assert turn_orders(FULL, BARE_FLASK, 2000.0) == 12_000


def test_each_hot_turn_is_compared_with_the_turns_beside_it() -> None:
    assert to_neighbours([300.0, 300.0, 300.0]) == 1
    assert to_neighbours([320.0, 300.0, 280.0, 270.0, 260.0, 90.0, 250.0]) == 1
