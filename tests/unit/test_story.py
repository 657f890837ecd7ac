"""An order's story from the entries that the services tell."""

from typing import Any

from orderflow_cli import story

BEGAN = "2026-01-01T12:00:00+00:00"


def entry(
    id_: str, cause: str | None = None, *, by: str, source: str, at: int, **more: Any
) -> dict[str, Any]:
    time = f"2026-01-01T12:00:{at:02}+00:00"
    return {
        "service": by, "state": "handled", "message_id": id_, "type": f"type-{id_}", "source": source,
        "causation_id": cause, "sent_at": time, "at": time, "attempts": 1, "detail": "", **more,
    }  # fmt: skip


def shape(nodes: list[story.Node]) -> Any:
    return [(node.message, node.service, shape(node.then)) for node in nodes]


def test_each_message_hangs_under_its_cause() -> None:
    told = [
        entry("c", "b", by="orders", source="inventory", at=3),
        entry("a", by="inventory", source="orders", at=1),
        entry("b", "a", by="orders", source="inventory", at=2),
    ]

    assert shape(story.tree(told)) == [
        ("type-a", "inventory", [("type-b", "orders", [])]),
        ("type-c", "orders", []),  # its cause was handled by orders, but inventory sent it: not told
    ]


def test_of_several_readers_of_a_fact_the_one_that_answered_is_the_cause() -> None:
    told = [
        entry("f", by="payments", source="orders", at=1),
        entry("f", by="inventory", source="orders", at=2),
        entry("r", "f", by="orders", source="payments", at=3),
    ]

    assert shape(story.tree(told)) == [
        ("type-f", "payments", [("type-r", "orders", [])]),
        ("type-f", "inventory", []),
    ]


def test_a_dead_letter_stands_where_its_message_stands() -> None:
    told = [
        entry("a", by="inventory", source="orders", at=1),
        entry(
            "b",
            by="orders",
            source="inventory",
            at=2,
            state="replayed",
            sent_at=None,
            detail="dead letter: bug",
        ),
        entry("b", "a", by="orders", source="inventory", at=9),
    ]

    [root] = story.tree(told)

    assert [node.state for node in root.then] == ["replayed", "handled"]


def test_a_long_wait_is_told_with_the_one_who_let_it_wait() -> None:
    told = [entry("a", by="inventory", source="orders", at=9, sent_at="2026-01-01T12:00:00.800000+00:00")]

    [(line, loud)] = story.lines(story.tree(told), BEGAN)

    assert "+9.000 s" in line
    assert "waited 8.2 s for inventory" in line
    assert loud


def test_a_second_attempt_and_a_waiting_timer_are_told() -> None:
    told = [
        entry("a", by="inventory", source="orders", at=1, attempts=3),
        entry("t", by="orders", source="orders", at=2, state="waiting", sent_at="2026-01-02T00:00:00Z"),
    ]

    lines = [line for line, _ in story.lines(story.tree(told), BEGAN)]

    assert "attempt 3" in lines[0]
    assert "waiting in orders, due 2026-01-02T00:00:00 UTC" in lines[1]


def test_what_went_quickly_is_told_quietly() -> None:
    [(line, loud)] = story.lines(story.tree([entry("a", by="inventory", source="orders", at=1)]), BEGAN)

    assert line.endswith("type-a  inventory")
    assert not loud
