"""What the documents name exists, and what exists is named."""

import configparser
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TRACKED = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
]
TEXTS = {".py", ".md", ".cfg", ".toml", ".yml", ".json", ".sh", ".sql", ".html", ".conf", ""}
ROOMS = r"(?:\w+_svc|shared_\w+|\w+_cli|local_stack|deploy|docs|examples|migrations|tests|provider_simulator|bench)"
PATH = re.compile(rf"`({ROOMS}/[\w./*-]*)`")
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")


def pages() -> list[Path]:
    return [path for path in TRACKED if path.suffix == ".md" and path.exists()]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_and_link_on_a_page_exists(page: Path) -> None:
    text = page.read_text()

    for named in PATH.findall(text):
        assert list(ROOT.glob(named.rstrip("/"))), f"{page.name} names {named}"
    for link in LINK.findall(text):
        assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_tour_walks_through_all_services() -> None:
    tour = (ROOT / "docs" / "tour.md").read_text()

    for room in (
        "orders_svc",
        "inventory_svc",
        "customers_svc",
        "payments_svc",
        "shared_events",
        "shared_http",
    ):
        assert f"{room}/" in tour


def test_every_dependency_has_a_line_that_says_why() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    extras = settings["options.extras_require"]
    wanted = "\n".join((settings["options"]["install_requires"], extras["test"], extras["bench"]))
    names = {re.split(r"[\s\[<>=]", line.strip())[0].lower() for line in wanted.splitlines() if line.strip()}
    names -= {line for line in names if line.startswith("#")}
    explained = re.findall(
        r"^\| ([\w.-]+) \| \S", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE
    )

    assert names - {name.lower() for name in explained} == set()


def test_every_seam_has_a_page() -> None:
    pages = {path.name for path in (ROOT / "docs" / "seams").glob("*.md")}

    assert {"provider.md", "identity.md", "in-memory-bus.md", "fifth-service.md"} <= pages


def test_nothing_names_the_place_where_it_was_written() -> None:
    places = ["../" + "shared", "/work" + "/main", "/work" + "/shared"]
    for path in TRACKED:
        if path.suffix in TEXTS and path.is_file():
            text = path.read_text(errors="replace")
            assert not [place for place in places if place in text], path


def test_nothing_is_left_to_do() -> None:
    unfinished = re.compile(r"\b(" + "TO" + "DO|FIX" + r"ME|XX" + r"X)\b")
    for path in TRACKED:
        if path.suffix == ".py" and path.exists():
            assert not unfinished.search(path.read_text()), path
