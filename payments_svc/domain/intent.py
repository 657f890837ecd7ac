"""An intent: the decision to call the provider, from the wish to the outcome."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from uuid_utils.compat import uuid7

from shared_events.contracts.values import Money

LONGEST_PAUSE_S = 300.0


@dataclass(frozen=True, slots=True)
class CallWanted:
    """The provider is to be called for an intent, `after_s` seconds from now."""

    intent_id: UUID
    order_id: UUID
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Silence:
    """The provider gave no answer; `sent` if the call may have happened all the same."""

    sent: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A claimed call: all that the provider must be told, and the lease under which it is made.

    `ask_first`: an earlier try may have happened, so ask what came of the key before repeating it.
    """

    intent_id: UUID
    operation: str
    key: str
    lease: UUID
    ask_first: bool
    order_id: UUID
    amount: Money
    method: str
    reference: str


@dataclass(slots=True)
class Intent:
    """The decision to call the provider once: authorize, capture, void or refund. One of each per order."""

    payment_id: UUID
    order_id: UUID
    operation: str
    id: UUID = field(default_factory=uuid7)
    status: str = "waiting"  # waiting, leased, in_doubt; succeeded, refused, closed (without a call)
    lease_token: UUID | None = None
    leased_until: datetime | None = None
    attempts: int = 0
    refusals: int = 0
    doubted: bool = False
    reference: str = ""
    code: str = ""
    detail: str = ""

    @property
    def provider_key(self) -> str:
        """The provider's idempotency key. A refused undo is tried again as a new call, so under a new key."""
        return f"{self.order_id}:{self.operation}" + (f":{self.refusals}" if self.refusals else "")

    @property
    def is_open(self) -> bool:
        """Whether its outcome is still to come."""
        return self.status in {"waiting", "leased", "in_doubt"}

    @property
    def pause_s(self) -> float:
        """How long to wait after the last try: 1 s, then twice as long each time."""
        return min(LONGEST_PAUSE_S, 2.0 ** min(self.attempts - 1, 10))

    def close_unclaimed(self) -> bool:
        """Close it without a call, which is possible only while nobody has ever claimed it."""
        if self.attempts:
            return False
        self.status = "closed"
        return True

    def lease(self, now: datetime, lease_s: float) -> UUID:
        """Give it to one caller for `lease_s` seconds."""
        self.status, self.attempts = "leased", self.attempts + 1
        self.lease_token, self.leased_until = uuid4(), now + timedelta(seconds=lease_s)
        return self.lease_token

    def end_lease(self, status: str, *, reference: str = "", code: str = "", detail: str = "") -> None:
        """Note what the caller brought back."""
        self.status, self.lease_token, self.leased_until = status, None, None
        self.reference, self.code, self.detail = reference, code, detail
