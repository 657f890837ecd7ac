"""What the bench adds up from /proc, and to whom it gives it."""

import os
import subprocess
import sys

from bench.accounting import Meter, Row, busy_s, cpu_by_kind, kinds_of, parse, processes, proportional_kb

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
ROWS = {
    1: Row(0, "init", 1.0),
    10: Row(1, "supervisor", 2.0),
    20: Row(10, "worker", 4.0),
    21: Row(20, "pool", 8.0),
    22: Row(21, "grandchild", 16.0),
    30: Row(10, "relay", 32.0),
    40: Row(1, "stranger", 64.0),
}
ROOTS = {10: "other", 20: "workers", 30: "relays"}


def test_a_process_counts_for_the_nearest_that_is_known_above_it() -> None:
    assert kinds_of(ROWS, ROOTS) == {
        10: "other",
        20: "workers",
        21: "workers",
        22: "workers",
        30: "relays",
    }


def test_each_second_of_cpu_counts_once_and_strangers_not_at_all() -> None:
    assert cpu_by_kind(ROWS, ROOTS) == {"other": 2.0, "workers": 28.0, "relays": 32.0}


def test_a_kind_whose_process_is_gone_has_used_nothing() -> None:
    assert cpu_by_kind(ROWS, {99: "executor"}) == {"executor": 0.0}


def test_a_name_with_brackets_and_blanks_is_read_as_the_kernel_writes_it() -> None:
    stat = "7 (a) (b c)) S 3 7 7 0 -1 4194304 1 2 3 4 50 60 7 8 20 0 1 0 100 0 0"

    row = parse(stat)

    assert (row.parent, row.name) == (3, "a) (b c)")
    assert round(row.cpu_s / TICK_S) == 50 + 60 + 7 + 8


def test_what_an_ended_child_has_used_is_not_lost() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); input()"
    child = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE)
    meter = Meter({child.pid: "workers"})
    try:
        while processes()[child.pid].cpu_s < 0.3:
            pass

        assert meter.read()["workers"] >= 0.2
    finally:
        child.communicate(b"\n")


def test_memory_is_counted_and_that_of_nobody_is_nothing() -> None:
    assert proportional_kb([os.getpid()]) > 1000
    assert proportional_kb([2**22 + 1]) == 0


def test_the_machine_has_worked_when_it_neither_idled_nor_waited() -> None:
    stat = "cpu  10 20 30 4000 500 6 7 8 900 1000\ncpu0 1 1 1 1 1 1 1 1 1 1\n"

    assert round(busy_s(stat) / TICK_S) == 10 + 20 + 30 + 6 + 7 + 8
