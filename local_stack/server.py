"""What every private server has in common."""

import os
import time
from abc import ABC, abstractmethod
from pathlib import Path

from local_stack.account import Account
from local_stack.binaries import Program
from local_stack.errors import StackError
from local_stack.leftovers import MARK
from local_stack.process import Process

_WAIT_S = 60.0


class Server(ABC):
    """A server of our own on 127.0.0.1, with its files in `home` and its log beside the others'.

    `start`, `stop`, `kill`, `pause` and `resume` may be called again and again; the data stays.
    """

    name: str

    def __init__(self, program: Program, home: Path, log: Path, account: Account | None) -> None:
        self.program = program
        self.home = home
        self.account = account
        self.process = Process(
            name=self.name,
            argv=[],
            environment={},
            log=log,
            directory=home if home.exists() else home.parent,
            account=account,
        )

    @abstractmethod
    def prepare(self) -> None:
        """Make the server's files, if they are not there; takes a second or so the first time."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""

    @abstractmethod
    def ready(self) -> bool:
        """Return whether the server answers an administrator's question now."""

    def environment(self) -> dict[str, str]:
        """Return the environment that the server runs in: nothing of ours but the path and the stack's mark."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            **{name: os.environ[name] for name in (MARK,) if name in os.environ},
            **self.program.environment(),
        }

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return self.process.pid

    def start(self, *, wait: bool = True) -> None:
        """Start the server if it does not run, and wait until it is ready."""
        if not self.process.alive():
            self.prepare()
            self.spawn()
        if wait:
            self.wait()

    def spawn(self) -> None:
        """Run the command in a new child; `prepare` has been called."""
        self.process.argv = self.command()
        self.process.environment = self.environment()
        self.process.directory = self.home
        self.process.spawn()

    def wait(self, seconds: float = _WAIT_S) -> None:
        """Wait until the server is ready; StackError if it dies or takes too long."""
        until = time.monotonic() + seconds
        while not self.ready():
            if not self.process.alive():
                raise StackError(
                    f"{self.name} ended with {self.process.exit_code}: {self.process.last_words()}"
                )
            if time.monotonic() > until:
                raise StackError(f"{self.name} was not ready in {seconds:g} s: {self.process.last_words()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server gracefully."""
        self.process.stop()

    def kill(self) -> None:
        """End the server as a crash would."""
        self.process.kill()

    def pause(self) -> None:
        """Freeze the server: it holds its connections and answers nothing."""
        self.process.pause()

    def resume(self) -> None:
        """Let a frozen server go on."""
        self.process.resume()

    def own_home(self) -> None:
        """Make the server's directory and give it to the account that the server runs as."""
        if self.account is not None:
            self.account.owns(self.home)
        else:
            self.home.mkdir(parents=True, exist_ok=True)

    def write(self, path: Path, content: str) -> None:
        """Write a file that only the server's account reads."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        path.chmod(0o600)
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)
