"""Rules for the code that a tool or a count can check."""

import ast
import configparser
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "orders_svc", "inventory_svc", "customers_svc", "payments_svc", "provider_simulator", "shared_events",
    "shared_http", "orderflow_cli", "local_stack", "examples", "bench",
)  # fmt: skip
IN_THE_CHECKOUT = {"examples", "bench"}
"""Not installed: who uses them has the checkout."""
LONGEST_FILE, LONGEST_FUNCTION = 300, 40
ONE_SCREEN = {"orders_svc/saga.py:checkout"}
"""Declarations that read best whole."""


def run(*command: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def test_ruff_finds_nothing() -> None:
    run("ruff", "check", ".")


def test_everything_is_formatted() -> None:
    run("ruff", "format", "--check", ".")


def test_types_are_strict_and_right() -> None:
    run("mypy", "--no-error-summary", *PACKAGES)


def test_imports_go_the_way_they_may() -> None:
    run("lint-imports", "--config", "setup.cfg", "--no-cache")


def test_every_package_is_linted_typed_and_installed() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    roots = set(settings["importlinter"]["root_packages"].split())
    installed = {each.rstrip("*") for each in settings["options.packages.find"]["include"].split()}

    assert set(PACKAGES) - IN_THE_CHECKOUT <= roots
    assert roots - IN_THE_CHECKOUT <= installed
    found = {path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "migrations"}
    assert found <= set(PACKAGES), "name a new package in this file and in setup.cfg"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_needs_scrolling_for_ever(package: str) -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (ROOT / package).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > LONGEST_FILE
    }

    assert long == {}


def test_no_function_is_longer_than_a_screen() -> None:
    """A function inside another counts for itself."""
    long = {
        name: length
        for path in sources()
        for name, length in _functions(path)
        if length > LONGEST_FUNCTION and name not in ONE_SCREEN
    }

    assert long == {}


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, kinds):
            inner = sum(_length(each) for each in ast.iter_child_nodes(node) if isinstance(each, kinds))
            yield f"{path.relative_to(ROOT)}:{node.name}", _length(node) - inner


def _length(node: ast.AST) -> int:
    return int(getattr(node, "end_lineno", 0)) - int(getattr(node, "lineno", 0)) + 1
