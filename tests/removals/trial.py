"""One trial: take a mechanism out of a copy of the tree, and see the test that holds it fail."""

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What an assertion's message begins with in pytest's report; anything else is an accident of the removal.
_ASSERTED = ("assert", "AssertionError", "Failed: DID NOT RAISE")
_SHARED = (".venv", ".orderflow/servers")
_LONGEST_S = 400


class Inapplicable(Exception):
    """The text that a removal takes out is not there, or not once: bring the table up to date."""


@dataclass(frozen=True)
class Edit:
    """In this file, this text is replaced by that."""

    path: str
    old: str
    new: str

    def applied_to(self, tree: Path) -> str:
        """Return the file's text after the edit. Raises Inapplicable."""
        text = (tree / self.path).read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise Inapplicable(f"{self.path} has {text.count(self.old)} times: {self.old!r}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Removal:
    """A mechanism, what is taken out of it, and the test that must fail then (a pytest node id)."""

    name: str
    mechanism: str
    taken_out: str
    edits: tuple[Edit, ...]
    test: str

    @property
    def test_name(self) -> str:
        """The test's own name."""
        return self.test.rpartition("::")[2]


@dataclass(frozen=True)
class Result:
    """How a test went: `failed` by an assertion, whose first line is `how`; or `error`, an accident."""

    passed: bool
    failed: bool
    how: str


class Tree:
    """A copy of the working tree, in which anything may be broken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, tests: Sequence[str]) -> list[Result]:
        """Run these tests and return how each went; one that was given with parameters went as its worst."""
        report = self.folder / "report.xml"
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", "-q", "-n0", f"--junitxml={report}", *tests]
        environment = {**os.environ, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=_LONGEST_S * len(tests),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return [Result(False, False, f"not over after {_LONGEST_S * len(tests)} s")] * len(tests)
        if not report.exists():
            return [Result(False, False, (done.stdout + done.stderr)[-300:])] * len(tests)
        cases = list(ET.parse(report).iter("testcase"))
        return [_worst(cases, test.rpartition("::")[2]) for test in tests]

    @contextmanager
    def without(self, removal: Removal) -> Iterator[None]:
        """Take a mechanism out, and put it back. Raises Inapplicable."""
        kept = {edit.path: (self.folder / edit.path).read_text(encoding="utf-8") for edit in removal.edits}
        try:
            for edit in removal.edits:
                (self.folder / edit.path).write_text(edit.applied_to(self.folder), encoding="utf-8")
            yield
        finally:
            for path, text in kept.items():
                (self.folder / path).write_text(text, encoding="utf-8")


@contextmanager
def copied_tree() -> Iterator[Tree]:
    """Copy what git knows or would add; the installed packages and the servers' programs are shared."""
    folder = Path(tempfile.mkdtemp(prefix="orderflow-removals-"))
    folder.chmod(0o755)  # the servers' account must be able to walk in
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        for name in _SHARED:
            if (ROOT / name).exists():
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).symlink_to((ROOT / name).resolve())
        yield Tree(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _worst(cases: Sequence[ET.Element], test: str) -> Result:
    """Return how a test went over all its parameters."""
    own = [case for case in cases if str(case.get("name")).partition("[")[0] == test.partition("[")[0]]
    wrong = [part for case in own for part in case if part.tag in {"failure", "error", "skipped"}]
    if not own:
        return Result(False, False, "the test was not found")
    asserted = [part for part in wrong if part.tag == "failure" and _message(part).startswith(_ASSERTED)]
    if asserted:
        return Result(False, True, _message(asserted[0]))
    if wrong:
        return Result(False, False, f"{wrong[0].tag}: {_message(wrong[0])}")
    return Result(True, False, "passed")


def _message(part: ET.Element) -> str:
    lines = str(part.get("message") or "").splitlines()
    return next((line.strip() for line in lines if line.strip()), "")
