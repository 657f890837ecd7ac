"""The shapes of Orders' API."""

from typing import Any

from marshmallow import Schema, fields, validate

from orders_svc import order_body
from orders_svc.domain import CANCELLED, CANCELLING, COMPLETED, CONFIRMED, PENDING, RESERVED
from orders_svc.order_body import MAX_LINES, MAX_QUANTITY, TOKEN_SHAPE
from shared_http.fields import SKU, AddressSchema, Line, MoneySchema, StrictInteger
from shared_http.paging import PageArguments

STATUSES = (PENDING, RESERVED, CONFIRMED, COMPLETED, CANCELLING, CANCELLED)


class OrderLineInSchema(Schema):
    """So many of one SKU. A SKU that stands in several lines is merged into one."""

    sku = fields.String(required=True, validate=SKU, metadata={"examples": ["LAMP"]})
    quantity = StrictInteger(
        required=True, validate=validate.Range(1, MAX_QUANTITY), metadata={"examples": [2]}
    )


class PlaceOrderSchema(Schema):
    """A new order. Prices are the shop's; `expected_total` refuses the order if they differ from yours."""

    lines = fields.List(
        fields.Nested(OrderLineInSchema()), required=True, validate=validate.Length(1, MAX_LINES)
    )
    payment_method = fields.String(
        required=True,
        validate=validate.Regexp(TOKEN_SHAPE, error="Not a payment token (tok_…)."),
        metadata={"examples": ["tok_visa"]},
    )
    shipping_address = fields.Nested(AddressSchema(), required=True)
    expected_total = fields.Nested(MoneySchema(), load_default=None, allow_none=True)
    reference = Line(100, load_default=None, allow_none=True)
    metadata = fields.Dict(
        keys=fields.String(validate=validate.Length(1, 40)),
        values=fields.String(validate=validate.Length(0, 500)),
        load_default=dict,
        validate=validate.Length(0, 50),
    )
    customer_id = fields.UUID(
        load_default=None, allow_none=True, metadata={"description": "Staff only: order for this customer."}
    )

    def load(self, data: Any, **options: Any) -> Any:
        """Read a body the fast way; where that does not take it, the slow one does, or says what is wrong."""
        return order_body.read(data) or super().load(data, **options)


class OrderLineSchema(Schema):
    """A line of an order, at the price it was accepted with."""

    sku = fields.String(required=True)
    name = fields.String(required=True)
    quantity = fields.Integer(required=True)
    unit_price = fields.Nested(MoneySchema(), required=True)
    total = fields.Nested(MoneySchema(), required=True)


class OrderSchema(Schema):
    """An order. `reason` says why it is being or was cancelled; expect words that you do not know yet."""

    id = fields.UUID(required=True)
    reference = fields.String(required=True, allow_none=True)
    customer_id = fields.UUID(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    reason = fields.String(required=True, allow_none=True)
    detail = fields.String(required=True)
    lines = fields.List(fields.Nested(OrderLineSchema()), required=True)
    total = fields.Nested(MoneySchema(), required=True)
    shipping_address = fields.Nested(AddressSchema(), required=True)
    metadata = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class OrderListSchema(PageArguments):
    """Filters of the list of orders."""

    status = fields.String(validate=validate.OneOf(STATUSES), load_default=None)
    customer_id = fields.UUID(load_default=None)
    reference = fields.String(validate=validate.Length(1, 100), load_default=None)
    created_after = fields.AwareDateTime(load_default=None)
    created_before = fields.AwareDateTime(load_default=None)


class TimelineEntrySchema(Schema):
    """Something that happened to an order."""

    at = fields.DateTime(required=True)
    event = fields.String(required=True)
    detail = fields.String(required=True)


class WaitSchema(Schema):
    """An answer that an order waits for: whose, to what, since when, and what the clock will do about it."""

    service = fields.String(required=True)
    command = fields.String(required=True)
    since = fields.DateTime(required=True)
    again_at = fields.DateTime(required=True, allow_none=True)
    given_up_at = fields.DateTime(required=True, allow_none=True)
    in_doubt = fields.Boolean(required=True)


class TimelineSchema(Schema):
    """An order's timeline, oldest first, and what it waits for now."""

    items = fields.List(fields.Nested(TimelineEntrySchema()), required=True)
    waits_for = fields.List(fields.String(), required=True)
    waiting = fields.List(fields.Nested(WaitSchema()), required=True)
