"""docs/environment.md names every variable that is read, and none that is not."""

import re
from collections.abc import Iterator
from pathlib import Path

from orderflow_cli.names import ACCOUNTS, SERVICES

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"\bORDERFLOW_[A-Z]+(?:_[A-Z]+)*")
# Names that are put together when they are read.
MADE = {
    *(f"ORDERFLOW_PASSWORD_{account.upper()}" for account in ACCOUNTS),
    *(f"ORDERFLOW_AUDIT_{service.upper()}_URL" for service in SERVICES),
}
# Beginnings of such names, as they stand in the code.
PREFIXES = {"ORDERFLOW_PASSWORD", "ORDERFLOW_AUDIT"}


def sources() -> Iterator[Path]:
    yield from (ROOT / name for name in ("compose.yml", "orderflow", ".env.example"))
    for folder in ROOT.iterdir():
        if (folder / "__init__.py").exists() or folder.name == "migrations":
            yield from folder.rglob("*.py")


def names_in(path: Path) -> set[str]:
    return {name.removesuffix("_FILE") for name in NAME.findall(path.read_text(encoding="utf-8"))}


def documented() -> set[str]:
    rows = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8").splitlines()
    cells = [row.split("|")[1] for row in rows if row.startswith("| `")]
    return {name for cell in cells for name in NAME.findall(cell)}


def test_every_variable_is_documented() -> None:
    read = set().union(*(names_in(path) for path in sources())) - PREFIXES

    assert (read | MADE) - documented() == set()


def test_every_documented_variable_is_read() -> None:
    read = set().union(*(names_in(path) for path in sources())) | MADE

    assert documented() - read == set()


def test_each_has_a_default_an_explanation_and_an_example() -> None:
    rows = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8").splitlines()

    for row in rows:
        if row.startswith("| `ORDERFLOW"):
            cells = [cell.strip() for cell in row.strip("|").split("|")]
            assert len(cells) == 4, row
            assert all(cells), row
