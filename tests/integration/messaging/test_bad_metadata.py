"""Whatever a sender writes beside the body stops neither the worker nor the collector."""

from datetime import datetime
from time import struct_time
from typing import Any

import pytest
from probe import Probe, eventually, headers_of, order_of, parcel_of, sealed

from shared_events import dead_letters
from shared_events.outbox import celery_body
from shared_events.parcel import Parcel
from shared_events.publisher import Publisher


class Milliseconds(datetime):
    """A time of type T as senders write it who take it for milliseconds."""

    def utctimetuple(self) -> struct_time:
        return struct_time((1970, 1, 1, 0, 0, 1_760_000_000_000, 0, 1, 0))


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


BAD: dict[str, dict[str, Any]] = {
    "content type": {"content_type": b"\xff\xfe"},
    "longest content type": {"content_type": b"\xff" * 255},
    "content encoding": {"content_encoding": b"\xff"},
    "time": {"headers": {"t": Milliseconds.now()}},
    "inner time": {"headers": {"t": [{"t": Milliseconds.now()}]}},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD)
def test_unreadable_properties_make_a_dead_letter_that_can_be_replayed(
    probe: Probe, changes: dict[str, Any]
) -> None:
    order = order_of("good")
    parcel = parcel_of(sealed(order), **changes)

    probe.publish(parcel)

    letter = eventually(lambda: probe.dead(parcel.body))
    assert letter.cause == "unreadable"
    assert "the properties cannot be read: " in letter.reason
    probe.still_works()
    with probe.engine.begin() as connection:
        dead_letters.replay(connection, "inventory", [letter.id], by="olga", reason="the body is good")
    eventually(lambda: probe.effects(order) == 1)


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD)
def test_nor_do_they_stop_the_collector(probe: Probe, changes: dict[str, Any]) -> None:
    """As if the broker itself had dead-lettered it."""
    envelope = sealed(order_of("good"))
    parcel = Parcel("1", "inventory.x", "inventory.dead", celery_body(envelope), **{"headers": {}, **changes})

    with Publisher(probe.servers.access.broker_url("inventory")) as own:
        own.publish([parcel])

    letter = eventually(lambda: probe.dead(parcel.body))
    assert letter.cause == "unreadable"
    assert letter.reason.startswith("the properties cannot be read: ")


@pytest.mark.parametrize(
    "odd",
    [
        {b"\xff": 1},
        {b"\xff" * 255: {b"\xfe": b"\xff"}},
        {"deep": nested(300)},
        {"wide": "\U0001f680" * 30_000},
    ],
    ids=["name", "longest name", "deep", "wide"],
)
def test_odd_headers_cost_nothing_when_it_works_and_nothing_when_it_fails(
    probe: Probe, odd: dict[Any, Any]
) -> None:
    order, passing, broken = order_of("good"), order_of("raise-once"), order_of("raise")
    envelopes = [sealed(each) for each in (order, passing, broken)]

    probe.publish(*(parcel_of(each, headers={**headers_of(each), **odd}) for each in envelopes))

    eventually(lambda: probe.effects(order) == probe.effects(passing) == 1)
    assert eventually(lambda: probe.dead(celery_body(envelopes[2]))).attempts == 2
    probe.still_works()


def test_nor_do_odd_headers_stop_the_collector(probe: Probe) -> None:
    body = celery_body(sealed(order_of("good")))

    with Publisher(probe.servers.access.broker_url("inventory")) as own:
        own.publish([Parcel("1", "inventory.x", "inventory.dead", body, {b"\xff": 1, "deep": nested(300)})])  # type: ignore[dict-item]

    assert eventually(lambda: probe.dead(body)).cause == "broker: unknown"
