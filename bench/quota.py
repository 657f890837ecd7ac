"""Less CPU for the whole stack: a control group of its own, version 1 or 2, whichever this machine has."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PERIOD_US = 100_000
_NAME = "orderflow-bench"
_V1, _V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")


class NoQuota(Exception):
    """This machine does not let us limit CPU; the text says why."""


@dataclass(frozen=True)
class Group:
    """A kind of control group: the file that takes the limit, and what is written into it."""

    root: Path
    file: str
    version: int

    def limit(self, cores: float) -> str:
        """Return the words for so many cores."""
        quota = round(cores * _PERIOD_US)
        return str(quota) if self.version == 1 else f"{quota} {_PERIOD_US}"


def _group() -> Group:
    if (_V1 / "cpu.cfs_quota_us").exists():
        return Group(_V1, "cpu.cfs_quota_us", 1)
    if (_V2 / "cgroup.controllers").exists() and "cpu" in (_V2 / "cgroup.controllers").read_text().split():
        return Group(_V2, "cpu.max", 2)
    raise NoQuota("there is no cpu controller in /sys/fs/cgroup")


@contextmanager
def quota(cores: float, pids: Iterable[int]) -> Iterator[None]:
    """Let these processes, and all that they start, have so many cores together. Raises NoQuota if we may not."""
    group = _group()
    folder = group.root / _NAME
    before = {pid: _place(group, pid) for pid in pids}
    try:
        try:
            if group.version == 2:
                (group.root / "cgroup.subtree_control").write_text("+cpu")
            folder.mkdir(exist_ok=True)
            (folder / group.file).write_text(group.limit(cores))
        except OSError as error:
            raise NoQuota(f"{folder} cannot be written: {error.strerror}") from error
        _move(before, dict.fromkeys(before, folder))
        yield
    finally:
        _move(before, before)
        with suppress(OSError):
            for line in (folder / "cgroup.procs").read_text().split():
                _move([int(line)], {int(line): group.root})
            folder.rmdir()


def _move(pids: Iterable[int], folders: dict[int, Path]) -> None:
    for pid in pids:
        with suppress(OSError):  # it has ended
            (folders[pid] / "cgroup.procs").write_text(str(pid))


def _place(group: Group, pid: int) -> Path:
    """Return the folder of the group that a process is in now."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            if (group.version == 1 and "cpu" in controllers.split(",")) or (
                group.version == 2 and number == "0"
            ):
                return group.root / path.lstrip("/")
    return group.root
