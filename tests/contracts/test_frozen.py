"""What was published once stays as it was: schemas are frozen, and every old sample can still be read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from jsonschema import Draft202012Validator

from shared_events.contract import (
    _BY_CLASS,
    CONTRACTS,
    Contract,
    Fact,
    UnknownContract,
    Unreadable,
    contract,
    read,
    seal,
    upcast,
)
from shared_events.contracts import frozen
from shared_events.contracts.values import Money

COMMAND = "python -m shared_events.contracts.frozen"
SAMPLES = sorted(frozen.SCHEMAS.glob("*/*.sample.json"))


def sealed_sample(its: Contract) -> Any:
    return seal(frozen.sample(its.message), correlation_id=uuid4())


@pytest.mark.parametrize("its", CONTRACTS.values(), ids=lambda its: its.type)
def test_a_published_schema_never_changes(its: Contract) -> None:
    path = frozen.schema_file(its.type, its.version)

    assert path.exists(), f"{its.type} version {its.version} is new: run {COMMAND}"
    assert frozen.schema(its) == path.read_bytes(), (
        f"{its.type} version {its.version} is published: make version {its.version + 1} and an upcaster"
    )


@pytest.mark.parametrize("its", CONTRACTS.values(), ids=lambda its: its.type)
def test_every_version_has_a_schema_a_sample_and_a_step_to_the_next(its: Contract) -> None:
    for version in range(1, its.version + 1):
        assert frozen.schema_file(its.type, version).exists()
        assert frozen.sample_file(its.type, version).exists()
    assert sorted(its.upcasters) == list(range(1, its.version))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}-{path.name[0]}")
def test_every_sample_fits_its_frozen_schema_and_can_be_read_today(path: Path) -> None:
    message_type, version = path.parent.name, int(path.name.partition(".")[0])
    its, data = CONTRACTS[message_type], path.read_bytes()

    Draft202012Validator(
        msgspec.json.decode(frozen.schema_file(message_type, version).read_bytes())
    ).validate(msgspec.json.decode(data))
    envelope = msgspec.structs.replace(sealed_sample(its), version=version, data=msgspec.Raw(data))
    assert isinstance(read(envelope).message, its.message)


@pytest.mark.parametrize("its", CONTRACTS.values(), ids=lambda its: its.type)
def test_a_message_survives_the_way_over_the_wire(its: Contract) -> None:
    envelope = sealed_sample(its)

    assert read(envelope).message == frozen.sample(its.message)
    assert envelope.subject == str(getattr(read(envelope).message, its.subject))


@pytest.fixture
def price_set() -> Iterator[type[Fact]]:
    """A contract whose third version is current."""

    @contract("tests.price_set", version=3, subject="sku")
    class PriceSet(Fact, frozen=True, kw_only=True):
        sku: str
        price: Money

    @upcast("tests.price_set", from_version=1)
    def _(old: dict[str, Any]) -> dict[str, Any]:
        """v1 was in whole euros."""
        return {**old, "price": old["price"] * 100}

    @upcast("tests.price_set", from_version=2)
    def _(old: dict[str, Any]) -> dict[str, Any]:
        """v2 was in cents and meant euros."""
        return {**old, "price": {"amount": old["price"], "currency": "EUR"}}

    yield PriceSet
    del CONTRACTS["tests.price_set"], _BY_CLASS[PriceSet]


@pytest.mark.parametrize(
    ("version", "data"),
    [(1, b'{"sku":"MUG","price":12}'), (2, b'{"sku":"MUG","price":1200}')],
)
def test_older_versions_are_raised_step_by_step(price_set: Any, version: int, data: bytes) -> None:
    today = seal(price_set(sku="MUG", price=Money(1200, "EUR")), correlation_id=uuid4())
    old = msgspec.structs.replace(today, version=version, data=msgspec.Raw(data))

    assert read(old).message == read(today).message


def test_an_older_version_that_does_not_fit_its_step_is_unreadable(price_set: Any) -> None:
    today = seal(price_set(sku="MUG", price=Money(1200, "EUR")), correlation_id=uuid4())

    for version, data in ((1, b"{}"), (1, b'{"price":{}}'), (1, b"7"), (0, b'{"sku":"MUG","price":1}')):
        with pytest.raises(Unreadable):
            read(msgspec.structs.replace(today, version=version, data=msgspec.Raw(data)))


def test_a_version_of_a_newer_release_is_unknown_not_unreadable(price_set: Any) -> None:
    today = seal(price_set(sku="MUG", price=Money(1200, "EUR")), correlation_id=uuid4())

    with pytest.raises(UnknownContract):
        read(msgspec.structs.replace(today, version=4))


def test_a_contract_is_published_once(price_set: Any) -> None:
    with pytest.raises(ValueError, match="published twice"):
        contract("tests.price_set", subject="sku")(price_set)
