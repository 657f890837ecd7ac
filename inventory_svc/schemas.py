"""What Inventory's API takes and shows."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from inventory_svc.domain import Kind
from shared_http.fields import SKU, Line, MoneySchema, StrictBoolean, StrictInteger
from shared_http.paging import PageArguments

LARGEST_AMOUNT = 10**12
LARGEST_QUANTITY = 10**9

_SKU_EXAMPLE = {"examples": ["LAMP"]}


class PriceSchema(MoneySchema):
    """What one piece costs."""

    amount = StrictInteger(
        required=True, validate=validate.Range(0, LARGEST_AMOUNT), metadata={"examples": [4900]}
    )


class ProductChangeSchema(Schema):
    """The members of a product that change."""

    name = Line(200)
    description = fields.String(validate=validate.Length(max=5000))
    price = fields.Nested(PriceSchema)
    active = StrictBoolean()


class ProductReplaceSchema(Schema):
    """A whole product. `external_version` is that of a catalogue kept elsewhere: an older one is ignored."""

    name = Line(200, required=True)
    description = fields.String(load_default="", validate=validate.Length(max=5000))
    price = fields.Nested(PriceSchema, required=True)
    active = StrictBoolean(load_default=True)
    external_version = StrictInteger(load_default=None, allow_none=True, validate=validate.Range(0))


class ProductSchema(Schema):
    """A product; `available` pieces can still be ordered. The ETag is of its `version`, not of the stock."""

    sku = fields.String(required=True, metadata=_SKU_EXAMPLE)
    name = fields.String(required=True)
    description = fields.String(required=True)
    price = fields.Nested(PriceSchema, required=True)
    active = fields.Boolean(required=True, metadata={"description": "whether it can be ordered"})
    available = fields.Integer(required=True)
    version = fields.Integer(required=True)
    updated_at = fields.AwareDateTime(required=True)


class ProductFilterSchema(PageArguments):
    """Which products a list shows."""

    sku = fields.List(
        fields.String(validate=SKU),
        load_default=list,
        validate=validate.Length(max=100),
        metadata=_SKU_EXAMPLE,
    )
    updated_since = fields.AwareDateTime(load_default=None)


class MoveSchema(Schema):
    """Pieces that came in, or a correction of the count and its cause."""

    kind = fields.String(required=True, validate=validate.OneOf([Kind.RECEIVE.value, Kind.ADJUST.value]))
    quantity = StrictInteger(required=True, validate=validate.Range(-LARGEST_QUANTITY, LARGEST_QUANTITY))
    cause = Line(500, shortest=0, load_default="")

    @validates_schema
    def _fits_its_kind(self, data: dict[str, Any], **_: Any) -> None:
        if data["kind"] == Kind.RECEIVE and data["quantity"] <= 0:
            raise ValidationError("Must be positive: correct a count with `adjust`.", "quantity")
        if data["quantity"] == 0:
            raise ValidationError("May not be zero.", "quantity")
        if data["kind"] == Kind.ADJUST and not data["cause"]:
            raise ValidationError("An adjustment needs its cause.", "cause")


class MovementSchema(Schema):
    """An entry of the ledger: so many pieces came in (positive) or went out (negative)."""

    id = fields.UUID(required=True)
    sku = fields.String(required=True, metadata=_SKU_EXAMPLE)
    kind = fields.String(required=True, validate=validate.OneOf([each.value for each in Kind]))
    quantity = fields.Integer(required=True)
    cause = fields.String(required=True)
    order_id = fields.UUID(required=True, allow_none=True, metadata={"description": "of a sale or a restock"})
    created_at = fields.AwareDateTime(required=True)
