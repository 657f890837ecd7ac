"""What a turn needs to know of a system that takes orders, whoever's it is."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bench.generator import Sent


class System(Protocol):
    """A system whose processes run and take POST /v1/orders on ports of this machine."""

    @property
    def name(self) -> str:
        """Return what it is called in tables."""

    @property
    def ports(self) -> list[int]:
        """Return the own port of each of its API processes."""

    @property
    def apart(self) -> frozenset[str]:
        """Return the kinds that are measured but are none of its cost."""

    @property
    def skus(self) -> Sequence[str]:
        """Return the products that are ordered, besides the hot one."""

    def tokens(self) -> list[str]:
        """Return its customers' tokens."""

    def roots(self) -> Mapping[int, str]:
        """Return the kind of each of its processes, by id; what is below one counts for it."""

    def note(self, run: str, sent: Sent) -> None:
        """Write down what was answered 202, for those who check later."""

    def unfinished(self) -> int:
        """Return how many orders are neither completed nor cancelled, by a cheap query."""

    def confirmed_ms(self, run: str) -> list[float]:
        """Return, for each order of a run, the time from its acceptance to its confirmation."""
