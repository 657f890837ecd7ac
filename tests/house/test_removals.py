"""The trials of `python -m tests.removals` stay possible: each edit applies, and its test is there."""

import ast
from pathlib import Path

import pytest

from tests.removals.table import REMOVALS
from tests.removals.trial import Removal

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("removal", REMOVALS, ids=[each.name for each in REMOVALS])
def test_what_it_takes_out_is_there_and_the_rest_is_still_python(removal: Removal) -> None:
    for edit in removal.edits:
        ast.parse(edit.applied_to(ROOT))


@pytest.mark.parametrize("removal", REMOVALS, ids=[each.name for each in REMOVALS])
def test_the_test_that_notices_it_is_there(removal: Removal) -> None:
    path, _, name = removal.test.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))

    assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


def test_the_page_has_a_row_for_each() -> None:
    page = (ROOT / "docs" / "removals.md").read_text(encoding="utf-8")

    rows = [row.split("|")[1].strip() for row in page.splitlines() if row.startswith("| ")]
    assert rows[1:] == [each.mechanism for each in REMOVALS]
