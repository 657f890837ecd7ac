"""A message that fails is acknowledged only when the broker has confirmed its copy."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Engine, create_engine

from shared_events.crash_guard import CrashGuard
from shared_events.delivery import Delivery
from shared_events.effect import Attempt
from shared_events.parcel import Parcel
from shared_events.publisher import NotPublished, Outcome, Publisher
from shared_events.runtime import Ending, Runtime
from shared_events.topology import work_queue

UNREADABLE = Delivery(b"{", {}, "application/json", "utf-8", "orders", "messages", "inventory.reserve_stock")


class Broker(Publisher):
    """Confirms what it is sent, finds no queue for it, forbids it, or is away."""

    def __init__(self, answer: str) -> None:
        super().__init__("amqp://inventory@127.0.0.1:1/")
        self._answer = answer

    def publish(self, parcels: Sequence[Parcel]) -> Outcome:
        """Answer as this broker does."""
        ids = {parcel.id for parcel in parcels}
        if self._answer == "away":
            raise NotPublished("it is away")
        if self._answer == "forbids":
            return Outcome(refused=dict.fromkeys(ids, "ACCESS_REFUSED"))
        return Outcome(returned=ids) if self._answer == "returns" else Outcome(confirmed=ids)


class NoEffect:
    """Nothing readable comes here."""

    @property
    def engine(self) -> Engine:
        """A database that nobody asks."""
        return create_engine("sqlite://")

    def __call__(self, attempts: Sequence[Attempt]) -> tuple[tuple[str, float], ...]:
        """Apply nothing."""
        raise AssertionError(f"{len(attempts)} messages were readable")


@pytest.mark.parametrize(
    ("broker", "ending"),
    [
        ("confirms", Ending.BURIED),
        ("returns", Ending.REFUSED),
        ("forbids", Ending.REFUSED),
        ("away", Ending.HELD),
    ],
)
def test_a_message_is_kept_until_its_copy_is_confirmed(broker: str, ending: Ending) -> None:
    guard = CrashGuard(None, "inventory")
    runtime = Runtime(work_queue("inventory"), NoEffect(), Broker(broker), guard)

    [verdict] = runtime.handle([UNREADABLE])

    assert verdict.ending is ending
