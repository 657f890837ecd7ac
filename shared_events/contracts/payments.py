"""What Payments is told, what it answers, and what it tells the world."""

from uuid import UUID

from shared_events.contract import Command, Fact, Reply, Timer, contract
from shared_events.contracts.values import Money


@contract("payments.authorize_payment", subject="order_id", sent_by="orders")
class AuthorizePayment(Command, frozen=True, kw_only=True):
    """Hold the amount on the customer's payment method (a provider token, never card data)."""

    order_id: UUID
    customer_id: UUID
    amount: Money
    payment_method: str


@contract("payments.payment_authorized", subject="order_id")
class PaymentAuthorized(Reply, frozen=True, kw_only=True):
    """The amount is held."""

    order_id: UUID
    payment_id: UUID


@contract("payments.payment_declined", subject="order_id")
class PaymentDeclined(Reply, frozen=True, kw_only=True):
    """Nothing is held and nothing will be; `code` is the provider's word, or `voided`."""

    order_id: UUID
    payment_id: UUID
    code: str
    detail: str


@contract("payments.authorization_in_doubt", subject="order_id")
class AuthorizationInDoubt(Reply, frozen=True, kw_only=True):
    """The provider's answer is unknown and being asked for. It does not stop the step's clock."""

    order_id: UUID


@contract("payments.capture_payment", subject="order_id", sent_by="orders")
class CapturePayment(Command, frozen=True, kw_only=True):
    """Take the held amount."""

    order_id: UUID


@contract("payments.payment_captured", subject="order_id")
class PaymentCaptured(Reply, frozen=True, kw_only=True):
    """The amount was taken."""

    order_id: UUID
    payment_id: UUID


@contract("payments.capture_refused", subject="order_id")
class CaptureRefused(Reply, frozen=True, kw_only=True):
    """The amount was not taken and will not be."""

    order_id: UUID
    code: str
    detail: str


@contract("payments.void_payment", subject="order_id", sent_by="orders")
class VoidPayment(Command, frozen=True, kw_only=True):
    """Let go of whatever is held, or refund what was captured.

    If nothing is there, a tombstone refuses the authorisation that arrives later.
    """

    order_id: UUID
    reason: str


@contract("payments.payment_voided", subject="order_id")
class PaymentVoided(Reply, frozen=True, kw_only=True):
    """Nothing is held and nothing was kept (`refunded`: it had been captured), and nothing ever will be."""

    order_id: UUID
    refunded: bool


@contract("payments.call_due", subject="order_id")
class CallDue(Timer, frozen=True, kw_only=True):
    """An intent waits for its call to the provider."""

    intent_id: UUID
    order_id: UUID


@contract("payments.refund_succeeded", subject="refund_id")
class RefundSucceeded(Fact, frozen=True, kw_only=True):
    """Money went back to the customer."""

    refund_id: UUID
    payment_id: UUID
    order_id: UUID
    amount: Money
