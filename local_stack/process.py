"""One child process: start it, ask whether it lives, end it and all that it started."""

import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from local_stack.account import Account
from local_stack.errors import StackError

_SETPRIV = "/usr/bin/setpriv"


@dataclass(kw_only=True)
class Process:
    """A program with its arguments, environment and log, and the child that runs it now, if any."""

    name: str
    argv: list[str]
    environment: dict[str, str]
    log: Path
    directory: Path
    account: Account | None = None
    grace_s: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def spawn(self) -> None:
        """Start the program in a process group of its own; what it prints goes to its log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - our own command lines
                [*self.privileges(), *self.argv],
                env=self.environment,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    @property
    def pid(self) -> int | None:
        """The process id of the child that was started last, while it lives."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How the last child ended; None while it lives or if there was none."""
        return self._child.poll() if self._child is not None else None

    def alive(self) -> bool:
        """Return whether the child lives."""
        return self.pid is not None

    def terminate(self) -> None:
        """Ask the child, and only it, to end: it knows how to end its own children."""
        self._signal(self.stop_signal)
        self._signal_family(signal.SIGCONT)  # a frozen one would not hear it

    def stop(self) -> None:
        """End the child gracefully, and by force after `grace_s`; nothing of it is left."""
        self.terminate()
        self.wait(self.grace_s)
        self.kill()

    def kill(self) -> None:
        """End the child and all its descendants at once (kill -9)."""
        if self._child is None:
            return
        family = [*descendants(self._child.pid), self._child.pid] if self.alive() else []
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._child.wait()

    def pause(self) -> None:
        """Freeze the child and all its descendants (SIGSTOP)."""
        self._signal_family(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen child go on."""
        self._signal_family(signal.SIGCONT)

    def wait(self, seconds: float) -> bool:
        """Wait for the child to end; return whether it did."""
        if self._child is None:
            return True
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def last_words(self) -> str:
        """Return the last line of the log that says anything, for an error message."""
        if not self.log.exists():
            return "it said nothing"
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 4096))
            lines = log.read().decode(errors="replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None and self.alive():
            self._child.send_signal(number)

    def _signal_family(self, number: signal.Signals) -> None:
        if self._child is not None and self.alive():
            for pid in [self._child.pid, *descendants(self._child.pid)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def privileges(self) -> list[str]:
        """Return the prefix that gives up root, and has the kernel kill the child when we die."""
        wanted: list[str] = []
        if threading.current_thread() is threading.main_thread():
            # The kernel looks at the thread that forked: from any other the child would die with that thread.
            wanted += ["--pdeathsig", "KILL"]
        if self.account is not None:
            wanted += [f"--reuid={self.account.uid}", f"--regid={self.account.gid}", "--clear-groups"]
        if not wanted:
            return []
        if not Path(_SETPRIV).exists() and shutil.which("setpriv") is None:
            raise StackError("this machine has no setpriv (Debian's package util-linux)")
        return ["setpriv", *wanted, "--"]


def descendants(pid: int) -> list[int]:
    """Return the process ids of all children, and theirs, of a process."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def started_at(pid: int) -> str | None:
    """Return when a process was started (the kernel's own count): with the pid it names it for good."""
    fields = _stat(Path(f"/proc/{pid}"))
    return fields[19] if fields and fields[0] != "Z" else None


def end_group(pid: int, seconds: float = 0.0) -> None:
    """End a process that is not our child, and its group: SIGTERM, then SIGKILL after `seconds`."""
    family = [pid, *descendants(pid)]
    if seconds:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + seconds
        while started_at(pid) is not None and time.monotonic() < until:
            time.sleep(0.05)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    for member in family:
        with suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)


def _parent(entry: Path) -> int | None:
    fields = _stat(entry)
    return int(fields[1]) if fields else None


def _stat(entry: Path) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the state on (the name before it may hold anything)."""
    try:
        return (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
