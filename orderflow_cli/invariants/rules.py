"""What an invariant is: a named function from a reading of the four databases to what contradicts it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from orderflow_cli.invariants.reading import Reading

GROUPS = ("stock", "money", "messages", "orders")


@dataclass(frozen=True)
class Finding:
    """A contradiction: what it is about (an order, a SKU, a row) and what is wrong with it.

    `wrong` names no ages, so that the same contradiction reads the same a second time. `waits_for` is given
    if the rule itself knows what will resolve it; `order_id` lets others look for a message that will, and
    `is_on_its_way` says that one was found, or a dead letter, so that there is nothing to repeat.
    """

    about: str
    wrong: str
    order_id: UUID | None = None
    waits_for: str = ""
    is_on_its_way: bool = False


@dataclass(frozen=True)
class Invariant:
    """A rule that always holds. What a strict one finds is broken at once; the others are read twice."""

    name: str
    group: str
    services: tuple[str, ...]
    strict: bool
    promise: str
    find: "Callable[[Reading], Iterable[Finding]]"


Rule = Callable[["Reading"], Iterable[Finding]]


def within(group: str, *services: str) -> Callable[[Rule], Invariant]:
    """Make an invariant of a rule that looks at one service (or at each by itself) in one snapshot."""
    return lambda rule: _invariant(rule, group, services, strict=True)


def between(group: str, *services: str) -> Callable[[Rule], Invariant]:
    """Make an invariant of a rule that compares services, or now with a moment later.

    No snapshot is common to them, so a contradiction counts only if it is still there on a second read.
    """
    return lambda rule: _invariant(rule, group, services, strict=False)


def _invariant(rule: Rule, group: str, services: tuple[str, ...], *, strict: bool) -> Invariant:
    promise = (rule.__doc__ or "").strip()
    return Invariant(rule.__name__, group, services, strict, promise, rule)
