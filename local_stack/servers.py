"""The three private servers of a stack, together."""

import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from local_stack import binaries
from local_stack.account import reachable, server_account
from local_stack.ports import free_port
from local_stack.postgres import Postgres
from local_stack.rabbitmq import RabbitMQ
from local_stack.redis import Redis
from local_stack.server import Server
from orderflow_cli.names import SERVERS

# What servers need, made once for each stack.
PORTS = ("postgres", "redis", "rabbitmq", "rabbitmq-management", "rabbitmq-distribution", "rabbitmq-epmd")


def new_ports() -> dict[str, int]:
    """Return a free port for each that the servers need."""
    return {name: free_port() for name in PORTS}


def new_passwords() -> dict[str, str]:
    """Return a random password for each server's administrator."""
    return {name: secrets.token_hex(16) for name in SERVERS}


class Servers:
    """PostgreSQL, Redis and RabbitMQ of our own, with their files in `data` and their logs in `data`/logs.

    `names` leaves out those that somebody else runs.
    """

    def __init__(
        self,
        data: Path,
        ports: Mapping[str, int] | None = None,
        passwords: Mapping[str, str] | None = None,
        names: tuple[str, ...] = SERVERS,
    ) -> None:
        self._ports, self._passwords = ports or new_ports(), passwords or new_passwords()
        self._programs = binaries.locate(names)
        self._account = server_account()
        self._logs = data / "logs"
        self._home = reachable(data / "var", self._account)
        self._made: dict[str, Server] = {}
        for name in names:
            self._made[name] = self._make(name)

    @property
    def postgres(self) -> Postgres:
        """The PostgreSQL server."""
        return cast("Postgres", self._made["postgres"])

    @property
    def redis(self) -> Redis:
        """The Redis server."""
        return cast("Redis", self._made["redis"])

    @property
    def rabbitmq(self) -> RabbitMQ:
        """The RabbitMQ server."""
        return cast("RabbitMQ", self._made["rabbitmq"])

    @property
    def all(self) -> tuple[Server, ...]:
        """Every server."""
        return tuple(self._made.values())

    def start(self) -> None:
        """Start all at once and wait until each is ready; call it from the main thread (see Process)."""
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda server: server.prepare(), self.all))
            for server in self.all:
                server.spawn()
            for server in self.all:
                server.wait()
        except BaseException:  # whatever it was, Ctrl-C too: nothing is left behind
            self.kill()
            raise

    def stop(self) -> None:
        """End all at once, gracefully."""
        for server in self.all:
            server.process.terminate()
        for server in self.all:
            server.stop()

    def kill(self) -> None:
        """End all as a crash would."""
        for server in self.all:
            server.kill()

    def _make(self, name: str) -> Server:
        program, home, log = self._programs[name], self._home / name, self._logs / f"{name}.log"
        port, password = self._ports[name], self._passwords[name]
        if name == "postgres":
            return Postgres(program, home, log, self._account, port=port, password=password)
        if name == "redis":
            return Redis(program, home, log, self._account, port=port, password=password)
        others = (self._ports[f"rabbitmq-{use}"] for use in ("management", "distribution", "epmd"))
        return RabbitMQ(program, home, log, self._account, ports=(port, *others), password=password)
