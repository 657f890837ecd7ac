"""Others who do the same business steps on the same servers; README.md says what each does not guarantee.

This file is all that the bench knows of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Kind = Literal["api", "workers"]


@dataclass(frozen=True, slots=True)
class Servers:
    """Where a stack's servers are, for somebody who may create databases, queues and keys there.

    `amqp_url` names a virtual host in which queues may be declared, used and deleted; `identity` holds the
    variables that tell an API of the stack whose tokens to believe.
    """

    postgres_admin_url: str
    amqp_url: str
    redis_url: str
    provider_url: str
    identity: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Command:
    """A process to start in the checkout's root: its argv, and variables to add to the bench's own environment."""

    kind: Kind
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """Numbers of orders: `accepted` is all of them, `finished` those with money taken and stock committed.

    A refused order (no stock, no money) is in `refused`. What is in none of the two is unfinished.
    """

    accepted: int
    finished: int
    refused: int

    @property
    def unfinished(self) -> int:
        """Return how many orders wait for something."""
        return self.accepted - self.finished - self.refused


class Contender(Protocol):
    """Somebody to compare with. Between `prepare` and the end of its processes it has the machine to itself."""

    @property
    def name(self) -> str:
        """Return what it is called in tables and in the JSON."""

    @property
    def guarantees_not(self) -> str:
        """Return in one line what it does not promise."""

    @property
    def intake_only(self) -> bool:
        """Return whether it only accepts orders: then an order is finished when it is accepted."""

    def prepare(self, servers: Servers, skus: Sequence[str], pieces: int) -> None:
        """Make its databases and queues anew, empty, with so many pieces of each SKU. No process may run."""

    def processes(self, servers: Servers, api_ports: Sequence[int]) -> list[Command]:
        """Return what to start, workers first; an API listens on each of these ports of 127.0.0.1, without TLS.

        The API answers 200 to GET /health/live when it is up. It takes POST /v1/orders as Orderflow does: bearer
        token, Idempotency-Key (not looked at), the same body; it answers 202. All end on SIGTERM.
        """

    def ready(self, servers: Servers) -> bool:
        """Return whether its workers take work by now. The API is asked apart."""

    def progress(self, servers: Servers) -> Progress:
        """Return how far it is, by one cheap query; poll it four times a second at most."""

    def seconds(self, servers: Servers) -> list[float]:
        """Return for each finished order the time from its row's creation until it is confirmed.

        That is, as in Orderflow's saga, when its payment is authorised.
        """

    def wrongs(self, servers: Servers) -> list[str]:
        """Return what does not add up among stock, orders and payments, one line each; ask when it is at rest."""


def everybody() -> list[Contender]:
    """Return the contenders, in the order in which tables show them."""
    from bench.contenders import line_up

    return list(line_up.everybody())
