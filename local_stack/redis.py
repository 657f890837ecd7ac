"""A private Redis: users by access list, the append-only file written every second."""

import hashlib
from pathlib import Path

import redis

from local_stack.account import Account
from local_stack.binaries import Program
from local_stack.server import Server

_CONFIG = Path(__file__).resolve().parents[1] / "deploy" / "redis" / "redis.conf"


class Redis(Server):
    """Redis with one administrator, its user `default`."""

    name = "redis"

    def __init__(
        self, program: Program, home: Path, log: Path, account: Account | None, *, port: int, password: str
    ) -> None:
        super().__init__(program, home, log, account)
        self.port = port
        self.password = password

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        """The administrator's URL."""
        return self.url("default", self.password)

    def url(self, user: str, password: str) -> str:
        """Return a user's URL."""
        return f"redis://{user}:{password}@{self.address}/0"

    def prepare(self) -> None:
        """Write the settings and, the first time, an access list with the administrator alone."""
        self.own_home()
        self.write(self.home / "redis.conf", _CONFIG.read_text(encoding="utf-8"))
        users = self.home / "users.acl"
        if not users.exists():
            digest = hashlib.sha256(self.password.encode()).hexdigest()
            self.write(users, f"user default on #{digest} ~* &* +@all\n")

    def command(self) -> list[str]:
        """Return the server's command line."""
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.home),
            "aclfile": str(self.home / "users.acl"),
            "daemonize": "no",
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        return [str(self.program.path), str(self.home / "redis.conf"), *arguments]

    def ready(self) -> bool:
        """Return whether it answers, with its file loaded."""
        with redis.Redis.from_url(self.admin_url, socket_timeout=2, socket_connect_timeout=2) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False
