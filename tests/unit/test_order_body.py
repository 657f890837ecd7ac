"""The fast way to read an order's body takes nothing that the schema refuses, and reads the same in it."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError

from orders_svc import order_body
from orders_svc.schemas import PlaceOrderSchema

ADDRESS = {"name": "A", "street": "S 1", "postal_code": "1", "city": "C", "region": None, "country": "DE"}
ORDER: dict[str, Any] = {
    "lines": [{"sku": "LAMP", "quantity": 2}, {"sku": "a.b_c-1", "quantity": 1_000_000}],
    "payment_method": "tok_visa",
    "shipping_address": ADDRESS,
    "expected_total": {"amount": 5, "currency": "EUR"},
    "reference": "Ünïted 7",
    "metadata": {"gift": ""},
    "customer_id": "01890a5d-ac96-774b-bcce-b302099a8057",
}
MEMBERS = [
    (),
    *((name,) for name in (*ORDER, "unknown")),
    *(("lines", 0, name) for name in ("sku", "quantity", "unknown")),
    *(("shipping_address", name) for name in (*ADDRESS, "unknown")),
    *(("expected_total", name) for name in ("amount", "currency", "unknown")),
    ("metadata", "gift"),
]
TEXTS = ["", "x", " x", "x\n", "\x85x", "x\x00", "\x7f", "tok_", "tok_1\n", "DE", "de", "EUR\n", "EURO", "é"]
NUMBERS = [0, 1, -1, 1.0, 1.5, True, 10**6, 10**6 + 1, 2**53 - 1, 2**53, -(2**53), 1e300]
LONG = [
    letter * length for letter in ("x", "😀") for length in (20, 21, 40, 41, 64, 65, 100, 101, 200, 201, 501)
]
IDS = [
    "{01890a5d-ac96-774b-bcce-b302099a8057}",
    "01890A5DAC96774BBCCEB302099A8057",
    "01890a5d-ac96-774b-bcce",
]
OTHERS: list[Any] = [None, [], {}, [[]], ORDER["lines"] * 51, {str(n): "x" for n in range(51)}, {"": "x"}]


def _slowly(body: Any) -> Any:
    return Schema.load(PlaceOrderSchema(), body)


def _changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a copy in which the member at the path is `new`, or missing if it is Ellipsis."""
    if not path:
        return new
    name, *rest = path
    copy = list(value) if isinstance(value, list) else dict(value)
    if new is ... and not rest:
        copy.pop(name, None)
    else:
        copy[name] = _changed(value.get(name) if isinstance(value, dict) else value[name], tuple(rest), new)
    return copy


def test_a_right_body_is_read_the_fast_way() -> None:
    found = order_body.read(ORDER)

    assert found == _slowly(ORDER)
    assert found is not None
    assert found["customer_id"] == UUID(ORDER["customer_id"])
    assert list(found["shipping_address"]) == list(ADDRESS)


def test_what_may_be_missing_reads_the_same() -> None:
    least = {name: ORDER[name] for name in ("lines", "payment_method", "shipping_address")}

    assert order_body.read(least) == _slowly(least)


@pytest.mark.parametrize("path", MEMBERS)
def test_the_fast_way_takes_nothing_that_the_schema_refuses(path: tuple[Any, ...]) -> None:
    for new in (*TEXTS, *NUMBERS, *LONG, *IDS, *OTHERS, ...):
        body = _changed(ORDER, path, new)

        found = order_body.read(body)

        assert found is None or found == _slowly(body)


@given(path=st.sampled_from(MEMBERS), new=st.text(max_size=5))
def test_the_fast_way_reads_a_text_as_the_schema_does(path: tuple[Any, ...], new: str) -> None:
    body = _changed(ORDER, path, new)

    found = order_body.read(body)

    assert found is None or found == _slowly(body)


def test_a_text_with_spaces_around_it_is_made_right_by_the_schema() -> None:
    assert PlaceOrderSchema().load({**ORDER, "reference": " 7 "})["reference"] == "7"


def test_the_schema_says_what_is_wrong() -> None:
    with pytest.raises(ValidationError) as refused:
        PlaceOrderSchema().load({**ORDER, "lines": [{"sku": "LAMP", "quantity": 0}]})

    assert refused.value.messages == {
        "lines": {0: {"quantity": ["Must be greater than or equal to 1 and less than or equal to 1000000."]}}
    }
