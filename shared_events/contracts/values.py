"""Values that messages of several services share."""

import msgspec


class Money(msgspec.Struct, frozen=True):
    """An amount in minor units (cents) with its ISO 4217 currency."""

    amount: int
    currency: str


class Line(msgspec.Struct, frozen=True):
    """So many of one SKU; the lines of a message hold each SKU at most once."""

    sku: str
    quantity: int


class Shortage(msgspec.Struct, frozen=True):
    """What was asked of a SKU, and what could have been given."""

    sku: str
    requested: int
    available: int
