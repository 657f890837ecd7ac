"""What Customers' API takes and shows."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields, validate

from shared_http.fields import AddressSchema, Line, Moment
from shared_http.paging import PageArguments


class EmailAddress(fields.Email):
    """An e-mail address, in small letters: two spellings of one address are the same customer."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=validate.Length(max=254), **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        return super()._deserialize(value, attr, data, **kwargs).lower()


class RegisterSchema(Schema):
    """A new customer."""

    email = EmailAddress(required=True, metadata={"examples": ["alice@example.com"]})
    name = Line(200, required=True)
    phone = Line(40, load_default=None, allow_none=True)


class ProfileSchema(RegisterSchema):
    """A customer's whole profile."""

    addresses = fields.List(fields.Nested(AddressSchema), load_default=list, validate=validate.Length(max=20))


class ProfileChangeSchema(Schema):
    """The members of a profile that change; a list is replaced as a whole."""

    email = EmailAddress()
    name = Line(200)
    phone = Line(40, allow_none=True)
    addresses = fields.List(fields.Nested(AddressSchema), validate=validate.Length(max=20))


class SuspendSchema(Schema):
    """Why a customer is suspended."""

    reason = Line(500, required=True)


class SuspensionSchema(Schema):
    """Why and since when a customer may not order."""

    reason = fields.String(required=True)
    since = Moment(required=True)


class CustomerSchema(Schema):
    """A customer; `suspension` is shown to staff only."""

    id = fields.UUID(required=True)
    email = fields.String(required=True)
    name = fields.String(required=True)
    phone = fields.String(required=True, allow_none=True)
    addresses = fields.List(fields.Nested(AddressSchema), required=True)
    suspended = fields.Boolean(required=True)
    suspension = fields.Nested(SuspensionSchema, allow_none=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)


class CustomerFilterSchema(PageArguments):
    """Which customers a list shows."""

    email = EmailAddress(load_default=None)
