"""What an order waits for, in words: whose answer to what, since when, and what the clock will do about it. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

COMMANDS = {
    ("stock", False): "inventory.reserve_stock",
    ("stock", True): "inventory.release_stock",
    ("payment", False): "payments.authorize_payment",
    ("payment", True): "payments.void_payment",
    ("commit", False): "inventory.commit_stock",
    ("capture", False): "payments.capture_payment",
}
"""What is sent for a step of the checkout, and for its undo."""
BEFORE_PIVOT = {"stock", "payment"}

_QUEUES = {
    "inventory": {"inventory": "inventory-worker"},
    "payments": {"payments.calls": "payments-executor"},
    "payments.void_payment": {"payments": "payments-worker", "payments.calls": "payments-executor"},
}
"""The queues that must be consumed for an answer, each with its process: by service, or by command."""


@dataclass(frozen=True)
class Wait:
    """One outstanding answer; times are seconds from now. `again_s` and `given_up_s` are None if no clock says so."""

    command: str
    since_s: float
    again_s: float | None = None
    given_up_s: float | None = None
    in_doubt: bool = False

    @property
    def service(self) -> str:
        """Who is to answer."""
        return self.command.partition(".")[0]

    def words(self, consumers: Mapping[str, int] | None = None) -> str:
        """Say it; `consumers` are those of each queue, if that is known."""
        return "; ".join(self._parts(consumers or {}))

    def _parts(self, consumers: Mapping[str, int]) -> Iterator[str]:
        whose = f"{self.service}'" if self.service.endswith("s") else f"{self.service}'s"
        yield f"{whose} answer to {self.command.partition('.')[2]}, for {_seconds(self.since_s)}"
        if self.in_doubt:
            yield "the provider's answer is in doubt"
        if self.again_s is not None:
            yield f"asked again in {_seconds(self.again_s)}"
        if self.given_up_s is not None:
            yield f"given up in {_seconds(self.given_up_s)}"
        for queue, process in (_QUEUES.get(self.command) or _QUEUES[self.service]).items():
            if consumers.get(queue, 1) == 0:
                yield f"{process} is away (its queue has no consumer)"


def clock(
    step: str, attempt: int, due_s: float | None, pause_s: float, *, undoing: bool
) -> tuple[float | None, float | None]:
    """Return in how many seconds a step is asked again, and given up: by its timer, which waits `pause_s` in all."""
    if due_s is None or undoing or step not in BEFORE_PIVOT:
        return due_s, None
    return (None, due_s) if attempt > 1 else (due_s, due_s + pause_s)


def _seconds(seconds: float) -> str:
    whole = round(max(0.0, seconds))
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h"
