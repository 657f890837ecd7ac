"""Marshmallow fields and shapes that several APIs share, strict about JSON types."""

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

SKU_SHAPE, CURRENCY_SHAPE, COUNTRY_SHAPE = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z", r"[A-Z]{3}\Z", r"[A-Z]{2}\Z"
SKU = validate.Regexp(SKU_SHAPE, error="Not a valid SKU.")
_CURRENCY = validate.Regexp(CURRENCY_SHAPE, error="Not an ISO 4217 code of three capital letters.")
LARGEST = 2**53 - 1
"""The largest integer that every JSON reader can hold."""


class StrictInteger(fields.Integer):
    """A JSON integer: 373 and 373.0 are, "5" and true are not. For bodies; query parameters are texts."""

    def _validated(self, value: Any) -> int:
        whole = isinstance(value, float) and value.is_integer()
        if isinstance(value, bool) or not (isinstance(value, int) or whole):
            raise self.make_error("invalid", input=value)
        if abs(value) > LARGEST:
            raise self.make_error("too_large", input=value)
        return int(value)


class StrictBoolean(fields.Boolean):
    """A JSON boolean: 1, "true" and "yes" are not."""

    def _deserialize(
        self,
        value: Any,
        attr: str | None,  # noqa: ARG002  (marshmallow's signature)
        data: Mapping[str, Any] | None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Moment(fields.AwareDateTime):
    """A point in time; shown in UTC and with a `Z`, as `json_response` shows it."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        shown = super()._serialize(value and value.astimezone(UTC), attr, obj, **kwargs)
        return shown.replace("+00:00", "Z") if isinstance(shown, str) else shown


class Line(fields.String):
    """A text of one line: no control characters, no spaces around it, `shortest` to `longest` characters."""

    _CONTROL = re.compile(r"[\x00-\x1f\x7f]")

    def __init__(self, longest: int, *, shortest: int = 1, **kwargs: Any) -> None:
        super().__init__(validate=validate.Length(shortest, longest), **kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if self._CONTROL.search(text):
            raise ValidationError("May not hold control characters.")
        return text.strip()


class MoneySchema(Schema):
    """An amount in minor units (cents) and its ISO 4217 currency."""

    amount = StrictInteger(required=True, metadata={"examples": [4990]})
    currency = fields.String(required=True, validate=_CURRENCY, metadata={"examples": ["EUR"]})


class AddressSchema(Schema):
    """A postal address."""

    name = Line(200, required=True)
    street = Line(200, required=True)
    postal_code = Line(20, required=True)
    city = Line(100, required=True)
    region = Line(100, load_default=None, allow_none=True)
    country = fields.String(
        required=True,
        validate=validate.Regexp(COUNTRY_SHAPE, error="Not an ISO 3166 code of two capital letters."),
        metadata={"examples": ["DE"]},
    )
