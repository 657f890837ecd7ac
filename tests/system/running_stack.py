"""Drives a stack as a reader would: by `./orderflow`."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = ROOT / "orderflow"


class RunningStack:
    """One stack by its data directory."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.facts: dict[str, Any] = {}

    @property
    def url(self) -> str:
        """The gateway's address."""
        return str(self.facts["url"])

    def up(self, *options: str) -> None:
        """Start it on a free port and wait until it is ready."""
        self.facts = json.loads(self.run("up", "--detach", "--port", "0", "--json", *options).stdout)

    def down(self) -> None:
        """End it."""
        self.run("down", check=False)

    def run(
        self, *arguments: str, check: bool = True, seconds: float = 180
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on this stack."""
        result = subprocess.run(
            [str(LAUNCHER), "--data", str(self.data), *arguments],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert result.returncode == 0 or not check, result.stderr
        return result

    def status(self) -> dict[str, Any]:
        """Return `status --json`."""
        return dict(json.loads(self.run("status", "--json").stdout))

    def process(self, name: str) -> dict[str, Any]:
        """Return what `status` says about one process."""
        return next(each for each in self.status()["processes"] if each["name"] == name)

    def token(self, *arguments: str) -> str:
        """Return an access token."""
        return self.run("token", *arguments).stdout.strip()

    def remains(self) -> list[str]:
        """Return the command lines of all processes that belong to this stack."""
        return remains_of(self.data)


@contextmanager
def stack_in_a_directory(prefix: str) -> Iterator[RunningStack]:
    """Give a stack, not yet started, in a directory of its own; both are gone afterwards."""
    data = Path(tempfile.mkdtemp(prefix=prefix))
    data.chmod(0o711)  # the servers' account must be able to walk in
    running = RunningStack(data)
    try:
        yield running
    finally:
        running.down()
        shutil.rmtree(data, ignore_errors=True)


def remains_of(data: Path) -> list[str]:
    """Return the command lines of all processes that name this directory in their arguments or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if str(data).encode() in command + (entry / "environ").read_bytes():
                    found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


def eventually(holds: Callable[[], bool], seconds: float = 30) -> bool:
    """Return whether something comes true in time."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True
