"""The envelope keeps to CloudEvents 1.0 (the SDK is the oracle), and no message carries anything personal."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from cloudevents.core.v1.event import CloudEvent

from shared_events.contract import CONTRACTS, Command, Contract, Envelope, Fact, Reply, Timer, encode, seal
from shared_events.contracts import frozen

OURS = {"version", "aggregate_version", "correlation_id", "causation_id"}
PERSONAL = re.compile(
    r"e_?mail|phone|birth|street|city|postal|zip|address|(first|last|full)_?name|password|"
    r"card|pan|cvc|cvv|iban|expiry|holder|account_number|^name$|^country$"
)
ALLOWED = {("inventory.product_changed", "name")}


@pytest.mark.parametrize("its", CONTRACTS.values(), ids=lambda its: its.type)
def test_an_envelope_is_a_cloud_event(its: Contract) -> None:
    sealed = seal(
        frozen.sample(its.message),
        correlation_id=uuid4(),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    wire: dict[str, Any] = msgspec.json.decode(encode(sealed))
    data = wire.pop("data")
    attributes = {name: value for name, value in wire.items() if name not in OURS}

    event = CloudEvent({**attributes, "time": sealed.time}, data)

    assert (event.get_type(), event.get_source()) == (its.type, its.sent_by)
    assert event.get_specversion() == "1.0"
    assert event.get_subject() == sealed.subject


def test_an_envelope_reads_as_it_was_written() -> None:
    sealed = seal(frozen.sample(CONTRACTS["orders.order_created"].message), correlation_id=uuid4())

    assert msgspec.json.decode(encode(sealed), type=Envelope) == sealed


def test_ids_grow_with_time() -> None:
    message = frozen.sample(CONTRACTS["orders.order_created"].message)
    ids = [seal(message, correlation_id=uuid4()).id for _ in range(100)]

    assert ids == sorted(ids)
    assert {each.version for each in ids} == {7}


@pytest.mark.parametrize("its", CONTRACTS.values(), ids=lambda its: its.type)
def test_no_message_carries_personal_or_card_data(its: Contract) -> None:
    schema = msgspec.json.schema(its.message)

    for name in _names(schema):
        assert not PERSONAL.search(name) or (its.type, name) in ALLOWED, f"{its.type} carries {name}"


def _names(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for each in schema.values():
            yield from _names(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _names(each)


@pytest.mark.parametrize("its", CONTRACTS.values(), ids=lambda its: its.type)
def test_names_follow_the_rules(its: Contract) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", its.type)
    assert its.kind in {Command, Reply, Timer, Fact}
    assert its.message.__doc__
    owner = its.type.partition(".")[0]
    assert its.sent_by == owner or its.kind is Command, "only a command is sent by another than its owner"
    if its.kind is Fact and not its.type.startswith(("orders.", "payments.")):
        assert "aggregate_version" in its.message.__struct_fields__, "a copied fact says how new it is"
