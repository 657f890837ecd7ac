"""The three private servers of a stack, together."""

import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local_stack import binaries
from local_stack.account import reachable, server_account
from local_stack.ports import free_port
from local_stack.postgres import Postgres
from local_stack.rabbitmq import RabbitMQ
from local_stack.redis import Redis
from local_stack.server import Server

# What a stack must remember of its servers: a port or password each, made once.
PORTS = ("postgres", "redis", "rabbitmq", "rabbitmq-management", "rabbitmq-distribution", "rabbitmq-epmd")
PASSWORDS = ("postgres", "redis", "rabbitmq")


def new_ports() -> dict[str, int]:
    """Return a free port for each that the servers need."""
    return {name: free_port() for name in PORTS}


def new_passwords() -> dict[str, str]:
    """Return a random password for each server's administrator."""
    return {name: secrets.token_hex(16) for name in PASSWORDS}


class Servers:
    """PostgreSQL, Redis and RabbitMQ of our own, with their files in `data` and their logs in `data`/logs."""

    def __init__(
        self, data: Path, ports: Mapping[str, int] | None = None, passwords: Mapping[str, str] | None = None
    ) -> None:
        ports, passwords = ports or new_ports(), passwords or new_passwords()
        programs = binaries.locate(("postgres", "redis", "rabbitmq"))
        account = server_account()
        logs = data / "logs"
        home = reachable(data / "servers", account)
        self.postgres = Postgres(
            programs["postgres"],
            home / "postgres",
            logs / "postgres.log",
            account,
            port=ports["postgres"],
            password=passwords["postgres"],
        )
        self.redis = Redis(
            programs["redis"],
            home / "redis",
            logs / "redis.log",
            account,
            port=ports["redis"],
            password=passwords["redis"],
        )
        self.rabbitmq = RabbitMQ(
            programs["rabbitmq"],
            home / "rabbitmq",
            logs / "rabbitmq.log",
            account,
            ports=(
                ports["rabbitmq"],
                ports["rabbitmq-management"],
                ports["rabbitmq-distribution"],
                ports["rabbitmq-epmd"],
            ),
            password=passwords["rabbitmq"],
        )

    @property
    def all(self) -> tuple[Server, ...]:
        """Every server."""
        return (self.postgres, self.redis, self.rabbitmq)

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
