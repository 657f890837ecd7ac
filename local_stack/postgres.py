"""A private PostgreSQL: TCP on 127.0.0.1 only, passwords always, nothing about durability relaxed."""

import contextlib
import signal
import subprocess
from pathlib import Path

import psycopg

from local_stack.account import Account
from local_stack.binaries import Program
from local_stack.errors import StackError
from local_stack.server import Server

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # No Unix socket: its path may not be longer than 107 bytes, which a data directory easily is.
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "64MB",
    # What is hot is planned by keys: a small sample does, and a large one is most of autovacuum's work.
    "default_statistics_target": "10",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "timezone": "UTC",
    "cluster_name": "orderflow",
}


class Postgres(Server):
    """PostgreSQL with one administrator, `postgres`."""

    name = "postgres"

    def __init__(
        self, program: Program, home: Path, log: Path, account: Account | None, *, port: int, password: str
    ) -> None:
        super().__init__(program, home, log, account)
        self.process.stop_signal = signal.SIGINT  # its "fast" shutdown: does not wait for clients to leave
        self.port = port
        self.password = password

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        """The administrator's URL."""
        return f"postgresql://postgres:{self.password}@{self.address}/postgres"

    def url(self, role: str, password: str, database: str) -> str:
        """Return the URL of one role's way into one database."""
        return f"postgresql://{role}:{password}@{self.address}/{database}"

    def prepare(self) -> None:
        """Make the cluster, the first time."""
        self.own_home()
        self._clear_lock()
        if (self.home / "cluster" / "PG_VERSION").exists():
            return
        secret = self.home / "password"
        self.write(secret, self.password)
        try:
            self._initdb(secret)
        finally:
            secret.unlink()

    def command(self) -> list[str]:
        """Return the postmaster's command line."""
        settings = {**_SETTINGS, "port": str(self.port)}
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return [str(self.program.path), "-D", str(self.home / "cluster"), *options]

    def ready(self) -> bool:
        """Return whether the administrator can log in."""
        try:
            with psycopg.connect(self.admin_url, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def _initdb(self, secret: Path) -> None:
        command = [
            *self.process.privileges(),
            str(self.program.path.with_name("initdb")),
            f"--pgdata={self.home / 'cluster'}",
            "--username=postgres",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",  # an empty cluster is soon made again; what is written later is synced
        ]
        result = subprocess.run(  # noqa: S603 - fixed command
            command, env=self.environment(), cwd=self.home, capture_output=True, text=True, check=False
        )
        if result.returncode:
            lines = (result.stderr or result.stdout).strip().splitlines() or ["no reason given"]
            raise StackError(f"postgres: initdb failed: {lines[-1]}")

    def _clear_lock(self) -> None:
        """Remove the lock file of a postmaster whose process id is somebody else's by now.

        PostgreSQL would take that one for its postmaster, and not start. The lock of a process that is gone it handles
        itself: it first makes sure that no backend of the old one still writes.
        """
        cluster = self.home / "cluster"
        lock = cluster / "postmaster.pid"
        with contextlib.suppress(OSError, IndexError):
            if _is_somebody_else(lock.read_text().splitlines()[0], cluster):
                lock.unlink()


def _is_somebody_else(pid: str, cluster: Path) -> bool:
    """Return whether a process of this id is there, but not at work in the cluster."""
    process = Path("/proc", pid)
    try:
        return (process / "cwd").readlink() != cluster.resolve()
    except FileNotFoundError:
        return process.exists()  # dead, and not collected yet: to PostgreSQL it lives
    except PermissionError:
        return False  # another account's: PostgreSQL knows that it is none of its own
