"""Every way into a stack's servers: a URL for each party, whoever runs the servers."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from local_stack.servers import Servers
from orderflow_cli.names import ACCOUNTS
from orderflow_cli.provision import provision


def new_passwords(accounts: Iterable[str] = ACCOUNTS) -> dict[str, str]:
    """Return a random password for each account."""
    return {account: secrets.token_hex(16) for account in accounts}


@dataclass(frozen=True)
class Access:
    """The administrators' URLs, where RabbitMQ speaks AMQP, and the password of each account."""

    postgres_admin_url: str
    rabbitmq_admin_url: str
    redis_admin_url: str
    amqp_address: str
    passwords: Mapping[str, str]

    @classmethod
    def to(cls, servers: Servers, passwords: Mapping[str, str]) -> "Access":
        """Return the ways into private servers."""
        return cls(
            postgres_admin_url=servers.postgres.admin_url,
            rabbitmq_admin_url=servers.rabbitmq.admin_url,
            redis_admin_url=servers.redis.admin_url,
            amqp_address=servers.rabbitmq.address,
            passwords=passwords,
        )

    def provision(self) -> None:
        """Make the servers ready: roles, databases, exchanges, queues, users."""
        provision(
            postgres_url=self.postgres_admin_url,
            rabbitmq_url=self.rabbitmq_admin_url,
            redis_url=self.redis_admin_url,
            passwords=self.passwords,
        )

    def database_url(self, service: str) -> str:
        """Return the URL of a service's own database, as its owner."""
        return self._postgres_url(service, service)

    def audit_url(self, service: str) -> str:
        """Return the URL of a service's database, read-only."""
        return self._postgres_url(f"{service}_audit", service)

    def broker_url(self, user: str) -> str:
        """Return RabbitMQ's URL for a service or `flower`."""
        return f"amqp://{user}:{self.passwords[user]}@{self.amqp_address}/orderflow"

    def redis_url(self, service: str) -> str:
        """Return Redis's URL for a service."""
        return f"redis://{service}:{self.passwords[service]}@{_host(self.redis_admin_url)}/0"

    def management_url(self, user: str) -> str:
        """Return the URL of RabbitMQ's management API for a user who may see it (`flower`)."""
        parts = urlsplit(self.rabbitmq_admin_url)
        place = f"{_host(self.rabbitmq_admin_url)}{parts.path.rstrip('/')}"
        return f"{parts.scheme}://{user}:{self.passwords[user]}@{place}"

    def environment(self, service: str) -> dict[str, str]:
        """Return the variables that each process of a service needs for its servers."""
        return {
            "ORDERFLOW_DATABASE_URL": self.database_url(service),
            "ORDERFLOW_BROKER_URL": self.broker_url(service),
            "ORDERFLOW_REDIS_URL": self.redis_url(service),
        }

    def _postgres_url(self, role: str, database: str) -> str:
        return f"postgresql://{role}:{self.passwords[role]}@{_host(self.postgres_admin_url)}/{database}"


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
