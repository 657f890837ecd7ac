"""The shapes of Payments' API."""

from marshmallow import Schema, fields, validate

from shared_http.fields import Line, MoneySchema
from shared_http.paging import PageArguments

STATUSES = (
    "authorizing", "authorized", "declined", "capturing", "captured",
    "voiding", "voided", "refunding", "refunded",
)  # fmt: skip


class DeclineSchema(Schema):
    """Why the provider said no, in its own words."""

    code = fields.String(required=True, metadata={"examples": ["card_declined"]})
    detail = fields.String(required=True)


class PaymentSchema(Schema):
    """The payment of an order. One that was voided before it was asked for has no customer and no amount."""

    id = fields.UUID(required=True)
    order_id = fields.UUID(required=True)
    customer_id = fields.UUID(required=True, allow_none=True)
    amount = fields.Nested(MoneySchema, required=True, allow_none=True)
    payment_method = fields.String(required=True, metadata={"examples": ["tok_visa"]})
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    decline = fields.Nested(DeclineSchema, required=True, allow_none=True)
    refund_id = fields.UUID(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class PaymentFilterSchema(PageArguments):
    """Which payments a list shows."""

    order_id = fields.UUID(load_default=None)


class RefundRequestSchema(Schema):
    """A refund of all that was captured. `amount` may be left out; for now no part of it can be refunded."""

    reason = Line(500, required=True)
    amount = fields.Nested(MoneySchema, load_default=None)


class RefundSchema(Schema):
    """Captured money on its way back. A pending refund is tried until the provider has made it."""

    id = fields.UUID(required=True)
    payment_id = fields.UUID(required=True)
    order_id = fields.UUID(required=True)
    amount = fields.Nested(MoneySchema, required=True)
    reason = fields.String(required=True)
    requested_by = fields.String(required=True, metadata={"description": "`orders`: the undo of an order"})
    status = fields.String(required=True, validate=validate.OneOf(["pending", "succeeded"]))
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class RecordFilterSchema(PageArguments):
    """Which of the provider's records a list shows; `check` reads them all, so a page may be long."""

    limit = fields.Integer(load_default=50, validate=validate.Range(1, 1000))
    order_id = fields.UUID(load_default=None)


class RecordSchema(Schema):
    """An authorisation in the provider's own books, in minor units, with the keys of the calls about it."""

    position = fields.Integer(required=True)
    order_id = fields.String(required=True)
    reference = fields.String(required=True)
    currency = fields.String(required=True)
    authorized = fields.Integer(required=True)
    held = fields.Integer(required=True)
    captured = fields.Integer(required=True)
    refunded = fields.Integer(required=True)
    keys = fields.List(fields.String(), required=True)
