"""docs/limits.md says what each bound is and where it is set: so it stands there, and the rows are those measured."""

import re
from pathlib import Path

import pytest
from outages import ROWS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
BOUND = re.compile(
    r"^\| (?P<what>[^|]+) \| [^|]+ \| `(?P<path>[^`]+)` \| `(?P<text>[^`]+)` \|$", re.MULTILINE
)
BOUNDS = BOUND.findall(PAGE)


@pytest.mark.parametrize(("what", "path", "text"), BOUNDS, ids=lambda each: str(each)[:40])
def test_a_bound_is_set_where_the_page_says(what: str, path: str, text: str) -> None:
    assert text in (ROOT / path).read_text(encoding="utf-8"), what


def test_the_page_lists_bounds_and_shows_every_row_that_is_measured() -> None:
    assert len(BOUNDS) > 30
    shown = re.findall(r"^\| ([^|]+) \| (?:202|503) \|", PAGE, re.MULTILINE)
    assert shown == [row.name for row in ROWS]
