"""The statements that make a long past, and the groups that limit CPU: what they would write."""

from pathlib import Path

from bench.finished import made, statement
from bench.memory import compared
from bench.quota import Group
from bench.sections import gates

ORDER = "01a205ec-9257-73e3-9aa3-3a91e3d66d24"


def text(service: str, table: str, *columns: tuple[str, str]) -> str:
    return statement(service, table, columns).as_string(None)


def test_every_id_of_a_copy_is_its_own_but_for_the_customer() -> None:
    columns = [("id", "uuid"), ("order_id", "uuid"), ("customer_id", "uuid"), ("amount", "bigint")]

    copied = text("payments", "payments", *columns)

    assert "pg_temp.made(n, source.id::text), pg_temp.made(n, source.order_id::text)" in copied
    assert "source.customer_id, source.amount" in copied


def test_rows_are_chosen_by_what_ties_them_to_the_order() -> None:
    assert "WHERE source.order_id = %(order)s" in text("inventory", "reservations", ("order_id", "uuid"))
    assert "WHERE source.correlation_id = %(order)s" in text("orders", "inbox", ("message_id", "uuid"))
    assert "WHERE source.id = %(order)s" in text("orders", "orders", ("id", "uuid"))


def test_what_names_the_order_in_words_names_the_copy() -> None:
    copied = text("payments", "intents", ("provider_key", "text"), ("reference", "text"))

    assert "replace(source.provider_key, %(order)s, pg_temp.made(n, %(order)s)::text)" in copied
    assert "source.reference || '-' || n" in copied


def test_made_ids_are_ordered_and_differ() -> None:
    ids = [made(1_000_000, n, ORDER) for n in range(1, 300)]

    assert ids == sorted(set(ids))
    assert {len(each) for each in ids} == {32}


def test_a_limit_is_written_as_each_version_of_control_groups_reads_it() -> None:
    assert Group(Path("x"), "cpu.cfs_quota_us", 1).limit(0.5) == "50000"
    assert Group(Path("x"), "cpu.max", 2).limit(2) == "200000 100000"


def test_memory_is_compared_for_who_was_there_both_times() -> None:
    found = compared({"a": 1024, "gone": 1}, {"a": 2048, "new": 1}, (300, 1500))

    assert found == {"a": {"after_300": 1.0, "after_1500": 2.0, "ratio": 2.0}}


def test_the_backlog_is_held_back_by_the_first_relay_alone() -> None:
    assert gates(["orders-relay", "orders-worker", "payments-relay"]) == ["orders-relay"]
