"""The one place that says what an error means for the message: wait, try again, or bury."""

import random
from dataclasses import dataclass

from shared_events import database
from shared_events.contract import UnknownContract, Unreadable
from shared_events.topology import TIERS_S


class Forged(Exception):
    """The message claims to come from a service whose user did not publish it."""


class KilledItsWorker(Exception):
    """The message was alone in its process each time that the process died."""


class TooSlowTogether(Exception):
    """A batch ran into its time limit. Whose fault it is shows when each message has a job and limits of its own."""


class BrokeItsConnection(Exception):
    """The database dropped the connection on this message alone, and answers others."""


@dataclass(frozen=True, slots=True)
class GoAlone:
    """Hand it out again, in a job of its own."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Not the message's fault (the service's own database is away): keep it, count no attempt."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after so many seconds, in a back-off tier of RabbitMQ."""

    after_s: int


@dataclass(frozen=True, slots=True)
class Bury:
    """A dead letter; `cause` groups it with its like."""

    cause: str


PERMANENT: dict[type[BaseException], str] = {
    Unreadable: "unreadable",
    Forged: "forged",
    KilledItsWorker: "killed-its-worker",
}


Decision = Hold | GoAlone | Retry | Bury


def decide(error: BaseException, failures: int, tiers_s: tuple[int, ...] = TIERS_S) -> Decision:
    """Say what follows from `error` after `failures` earlier failures of the same message.

    Unknown types and versions of a newer release are retried first: a rollout may be under way. Jitter chooses
    between two neighbouring tiers, so that what failed together does not come back together.
    """
    if database.is_lost(error):
        return Hold()
    if isinstance(error, TooSlowTogether):
        return GoAlone()
    for kind, cause in PERMANENT.items():
        if isinstance(error, kind):
            return Bury(cause)
    if failures < len(tiers_s):
        last = len(tiers_s) - 1
        return Retry(tiers_s[min(failures + (random.random() < 0.25), last)])  # noqa: S311  no secret
    if isinstance(error, UnknownContract):
        return Bury("unknown-contract")
    return Bury(f"attempts-used-up: {type(error).__name__}")
