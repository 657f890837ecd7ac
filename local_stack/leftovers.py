"""What a supervisor that was killed leaves behind, and how the next one finds and ends it.

Every child is written down with its start time, so that a process id used anew is never mistaken for it; what
children have started besides is found by the mark in its environment.
"""

import fcntl
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from local_stack.process import end_group, started_at

MARK = "ORDERFLOW_STACK"
_RECORD = "processes.json"


class Lock:
    """Held by the one supervisor of a data directory for as long as it lives."""

    def __init__(self, data: Path) -> None:
        self._path = data / "supervisor.lock"
        self._file: IO[str] | None = None

    def take(self) -> bool:
        """Take it; return False if somebody else holds it."""
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def held(self) -> bool:
        """Return whether a supervisor lives."""
        if not self._path.exists():
            return False
        with self._path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False


def record(data: Path, pids: Iterable[int]) -> None:
    """Write down the children that live now."""
    draft = data / f"{_RECORD}.new"
    found = {str(pid): started for pid in pids if (started := started_at(pid)) is not None}
    draft.write_text(json.dumps(found), encoding="utf-8")
    draft.replace(data / _RECORD)


def clean(data: Path) -> list[int]:
    """End everything that an earlier supervisor of this directory has left; return the process ids."""
    ended = [pid for pid, started in _recorded(data).items() if started_at(pid) == started]
    # The servers first get a moment to end well; the rest is safe to kill at any time.
    for pid in ended:
        end_group(pid, seconds=5)
    for pid in _marked(data):
        end_group(pid)
        ended.append(pid)
    with suppress(FileNotFoundError):
        (data / _RECORD).unlink()
    return ended


def _recorded(data: Path) -> dict[int, str]:
    try:
        found = json.loads((data / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {int(pid): str(started) for pid, started in found.items()}


def _marked(data: Path) -> list[int]:
    mark = f"{MARK}={data}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found
