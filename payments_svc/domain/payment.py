"""The money of one order: what the commands and the provider's outcomes make of it."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from payments_svc.domain.intent import Call, CallWanted, Intent, Silence
from payments_svc.provider import Approved, Outcome, Refused
from shared_events.contract import Message
from shared_events.contracts.payments import (
    AuthorizationInDoubt,
    CaptureRefused,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentVoided,
    RefundSucceeded,
)
from shared_events.contracts.values import Money

VOIDED = "voided"
"""The code that answers an authorisation or a capture that was undone."""

Said = Message | CallWanted


@dataclass(slots=True)
class Refund:
    """Captured money on its way back to the customer. It is repeated until it succeeds."""

    payment_id: UUID
    order_id: UUID
    amount: Money
    reason: str
    requested_by: str
    id: UUID = field(default_factory=uuid7)
    status: str = "pending"  # pending, succeeded


@dataclass(slots=True)
class Payment:
    """The money of one order.

    `void_requested` is for ever: from then on an authorisation or a capture is answered as refused, and
    whatever is held or taken goes back. A tombstone is a voided payment that never had an amount.
    """

    order_id: UUID
    id: UUID = field(default_factory=uuid7)
    customer_id: UUID | None = None
    amount: Money | None = None
    method: str = ""
    status: str = "authorizing"
    void_requested: bool = False
    void_reason: str = ""
    version: int = 0
    intents: dict[str, Intent] = field(default_factory=dict)
    refund: Refund | None = None

    def intent(self, intent_id: UUID) -> Intent | None:
        """Return the intent with this id."""
        return next((each for each in self.intents.values() if each.id == intent_id), None)

    # -- commands: each may come again at any time, and is answered with what is known by then ----------

    def authorize(self) -> list[Said]:
        """Hold the amount."""
        if self.void_requested:
            return [self._declined(VOIDED, "The payment was voided.")]
        intent = self.intents.get("authorize")
        if intent is None or intent.is_open:
            return [self._want("authorize")]
        if intent.status == "refused":
            return [self._declined(intent.code, intent.detail)]
        return [PaymentAuthorized(order_id=self.order_id, payment_id=self.id)]

    def capture(self) -> list[Said]:
        """Take the held amount."""
        if self.void_requested:
            return [CaptureRefused(order_id=self.order_id, code=VOIDED, detail="The payment was voided.")]
        blocking = next((each for each in self.intents.values() if each.status == "refused"), None)
        if blocking:
            return [CaptureRefused(order_id=self.order_id, code=blocking.code, detail=blocking.detail)]
        if self.status == "authorizing":
            return []  # no order asks for that; if one did, its next request is answered
        if self.status in {"authorized", "capturing"}:
            self.status = "capturing"
            return [self._want("capture")]
        return [PaymentCaptured(order_id=self.order_id, payment_id=self.id)]

    def void(self, reason: str) -> list[Said]:
        """Let go of what is held, or give back what was taken; never anything more after that."""
        if not self.void_requested:
            self.void_requested, self.void_reason = True, reason
        doing = self.intents.get({"authorizing": "authorize", "capturing": "capture"}.get(self.status, ""))
        if doing is None:
            return self._undo()
        if doing.close_unclaimed():
            self.status = "authorized" if doing.operation == "capture" else "voided"
            return self._undo()
        return [self._want(doing.operation)]  # its outcome decides what there is to undo

    def give_back(self, reason: str, requested_by: str) -> list[Said]:
        """Refund all that was captured. Only a captured payment can be refunded: see `is_refundable`."""
        assert self.amount is not None  # noqa: S101  a tombstone is never captured
        self.status = "refunding"
        if self.refund is None:
            self.refund = Refund(self.id, self.order_id, self.amount, reason, requested_by)
        return [self._want("refund")]

    @property
    def is_refundable(self) -> bool:
        """Whether there is captured money that nobody has asked back yet."""
        return self.status == "captured"

    # -- the call: claimed by one executor, and its result -------------------------------------------

    def claim(self, intent: Intent, now: datetime, lease_s: float) -> tuple[Call | None, list[Said]]:
        """Lease the intent to the caller, if it still needs a call and nobody else is making it."""
        if not intent.is_open:
            return None, []
        if intent.leased_until is not None and intent.leased_until > now:
            return None, [self._again(intent, (intent.leased_until - now).total_seconds())]
        said = self._doubt(intent) if intent.status == "leased" else []
        ask_first = intent.attempts > 0
        lease = intent.lease(now, lease_s)
        assert self.amount is not None  # noqa: S101  a tombstone has no intents
        held = self.intents["authorize"].reference
        return Call(
            intent.id, intent.operation, intent.provider_key, lease, ask_first,
            self.order_id, self.amount, self.method, held,
        ), said  # fmt: skip

    def take(self, intent: Intent, lease: UUID, result: Outcome | Silence) -> list[Said]:
        """Take the result of a call; nothing happens if the lease is no longer the last one."""
        if intent.lease_token != lease:
            return []
        match result:
            case Silence(sent):
                said = self._doubt(intent) if sent else []
                intent.end_lease("in_doubt" if intent.doubted else "waiting")
                return [*said, self._again(intent, intent.pause_s)]
            case Approved(reference):
                intent.end_lease("succeeded", reference=reference)
                return self._approved(intent)
            case Refused(code, detail):
                return self._refused(intent, code, detail)

    def _approved(self, intent: Intent) -> list[Said]:
        if intent.operation == "void":
            self.status = "voided"
            return self._undo()
        if intent.operation == "refund":
            self.status = "refunded"
            return [*self._refund_succeeded(), *(self._undo() if self.void_requested else [])]
        self.status = "authorized" if intent.operation == "authorize" else "captured"
        if self.void_requested:
            return self._undo()
        return self.authorize() if intent.operation == "authorize" else self.capture()

    def _refused(self, intent: Intent, code: str, detail: str) -> list[Said]:
        """Take a refused authorisation or capture as final; try a refused void or refund again for ever."""
        if intent.operation in {"void", "refund"}:
            intent.end_lease("waiting", code=code, detail=detail)
            intent.refusals, intent.doubted = intent.refusals + 1, False
            return [self._again(intent, intent.pause_s)]
        intent.end_lease("refused", code=code, detail=detail)
        self.status = "declined" if intent.operation == "authorize" else "authorized"
        if self.void_requested:
            return self._undo()
        return self.authorize() if intent.operation == "authorize" else self.capture()

    def _undo(self) -> list[Said]:
        """Take the next step towards nothing held and nothing kept, or say that it is so."""
        if self.status in {"authorized", "voiding"}:
            self.status = "voiding"
            return [self._want("void")]
        if self.status in {"captured", "refunding"}:
            return self.give_back(self.void_reason, "orders")
        return [PaymentVoided(order_id=self.order_id, refunded=self.status == "refunded")]

    def _refund_succeeded(self) -> list[Said]:
        refund = self.refund
        assert refund is not None  # noqa: S101  a refund intent is made with its refund
        refund.status = "succeeded"
        return [
            RefundSucceeded(
                refund_id=refund.id, payment_id=self.id, order_id=self.order_id, amount=refund.amount
            )
        ]

    def _doubt(self, intent: Intent) -> list[Said]:
        """Note that the last call may or may not have happened; Orders hears it once."""
        first, intent.doubted = not intent.doubted, True
        if first and intent.operation == "authorize":
            return [AuthorizationInDoubt(order_id=self.order_id)]
        return []

    def _declined(self, code: str, detail: str) -> PaymentDeclined:
        return PaymentDeclined(order_id=self.order_id, payment_id=self.id, code=code, detail=detail)

    def _want(self, operation: str) -> CallWanted:
        """Want the operation's call now, whether it is new or still open."""
        if operation not in self.intents:
            self.intents[operation] = Intent(self.id, self.order_id, operation)
        return CallWanted(self.intents[operation].id, self.order_id)

    def _again(self, intent: Intent, after_s: float) -> CallWanted:
        return CallWanted(intent.id, self.order_id, after_s)


def tombstone(order_id: UUID, reason: str) -> Payment:
    """Return what a void leaves that found nothing: an authorisation that comes later is refused."""
    return Payment(order_id, status="voided", void_requested=True, void_reason=reason)
