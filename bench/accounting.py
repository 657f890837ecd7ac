"""What processes cost, from the operating system's own accounts in /proc: CPU by kind, and memory."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_IDLE = slice(3, 5)
"""Places in the first line of /proc/stat: idle, and waiting for the disk. Guests' time is in others already."""
_COUNTED = 8
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PARENT, _OWN, _CHILDREN = 1, slice(11, 13), slice(13, 15)
"""Places in /proc/PID/stat, counted from the state on: the parent, user and system time, and the same of children."""


@dataclass(frozen=True, slots=True)
class Row:
    """A process: its parent, its name, and its CPU seconds with those of the children that it has waited for."""

    parent: int
    name: str
    cpu_s: float


def processes() -> dict[int, Row]:
    """Return every process of the machine by its id, as it is at this moment."""
    found = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                found[int(entry.name)] = parse(Path(entry.path, "stat").read_text())
    return found


def parse(stat: str) -> Row:
    """Read a line of /proc/PID/stat; the name in it may hold anything, brackets and blanks too."""
    head, _, tail = stat.rpartition(")")
    fields = tail.split()
    ticks = sum(map(int, (*fields[_OWN], *fields[_CHILDREN])))
    return Row(int(fields[_PARENT]), head.partition("(")[2], ticks / _TICKS_PER_S)


def kinds_of(rows: Mapping[int, Row], roots: Mapping[int, str]) -> dict[int, str]:
    """Return the kind of each process that is one of `roots` or below one: that of the nearest."""
    found: dict[int, str] = {}
    for pid in rows:
        line, at = [], pid
        while at in rows and at not in found and at not in roots:
            line.append(at)
            at = rows[at].parent
        kind = found.get(at) or (roots.get(at) if at in rows else None)
        if kind:
            found |= dict.fromkeys([*line, at], kind)
    return found


def cpu_by_kind(rows: Mapping[int, Row], roots: Mapping[int, str]) -> dict[str, float]:
    """Return the CPU seconds that each kind has used since its processes began.

    Nothing is counted twice or lost when a child ends: what it used is its parent's from then on.
    """
    total = dict.fromkeys(roots.values(), 0.0)
    for pid, kind in kinds_of(rows, roots).items():
        total[kind] += rows[pid].cpu_s
    return total


def busy_s(stat: str) -> float:
    """Return the CPU seconds that the whole machine has worked, given the text of /proc/stat."""
    ticks = [int(word) for word in stat.splitlines()[0].split()[1 : _COUNTED + 1]]
    return (sum(ticks) - sum(ticks[_IDLE])) / _TICKS_PER_S


class Meter:
    """CPU seconds by kind from its making on; `machine_s` are those of the whole machine, read at the same time."""

    def __init__(self, roots: Mapping[int, str]) -> None:
        self._roots = roots
        self._before = cpu_by_kind(processes(), roots)
        self._began_s, self.machine_s = _machine_s(), 0.0

    def read(self) -> dict[str, float]:
        """Return what each kind has used until now."""
        now = cpu_by_kind(processes(), self._roots)
        self.machine_s = _machine_s() - self._began_s
        return {kind: now[kind] - self._before[kind] for kind in now}


def _machine_s() -> float:
    return busy_s(Path("/proc/stat").read_text(encoding="utf-8"))


def proportional_kb(pids: Iterable[int]) -> int:
    """Return the memory of these processes in kB: what they share with others counts for each by its part."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total
