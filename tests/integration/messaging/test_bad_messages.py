"""Every kind of bad message becomes a dead letter with its reason, and stops nothing."""

import zlib
from secrets import token_urlsafe
from typing import Any
from uuid import uuid4

import amqp
import msgspec
import pytest
from msgspec.structs import replace
from probe import Probe, eventually, headers_of, order_of, parcel_of, sealed

from shared_events.contract import Envelope, encode
from shared_events.outbox import celery_body
from shared_events.parcel import Parcel
from shared_events.publisher import Publisher

MARK = b"%s"
"""Bodies are told apart by a random mark, so that each test finds its own dead letter."""


def marked(body: bytes) -> bytes:
    return body.replace(MARK, uuid4().hex.encode())


def good() -> Envelope:
    return sealed(order_of("good"))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"not JSON %s", id="not JSON"),
        pytest.param(b'[["%s"', id="truncated"),
        pytest.param(b'{"order_id":"%s"}', id="not a task's body"),
        pytest.param(b'"%s"', id="embed of the wrong type"),
        pytest.param(b'[[],{},{},"%s"]', id="no argument"),
        pytest.param(b'[[1,2,"%s"],{},{}]', id="wrong arguments"),
        pytest.param(b'[[{"id":"%s"}],{},{}]', id="wrong id"),
        pytest.param(b'[[{}],{},"%s"]', id="no envelope"),
        pytest.param(b'[[{"id":"\xff\xfe%s"}],{},{}]', id="bad utf-8"),
        pytest.param(b"[" * 100_000 + b"%s", id="too deep"),
        pytest.param(b"\x80\x04\x95pickle %s.", id="pickle"),
        pytest.param(b"", id="empty"),
    ],
)
def test_an_unreadable_body_is_buried_with_its_reason(probe: Probe, body: bytes) -> None:
    parcel = parcel_of(good(), body=marked(body))

    probe.publish(parcel)

    letter = eventually(lambda: probe.dead(parcel.body))
    assert letter.cause == "unreadable"
    assert letter.reason.startswith("Unreadable: the body is not a message: ")
    assert letter.attempts == 1
    probe.still_works()


def test_a_wrong_content_type_is_buried(probe: Probe) -> None:
    parcel = parcel_of(good(), content_type="application/x-python-serialize")

    probe.publish(parcel)

    letter = eventually(lambda: probe.dead(parcel.body))
    assert letter.cause == "unreadable"
    assert "application/x-python-serialize" in letter.reason
    probe.still_works()


def test_a_wrong_encoding_is_buried_with_its_bytes_as_they_came(probe: Probe) -> None:
    envelope = good()
    parcel = parcel_of(
        envelope, content_encoding="utf-16", body=celery_body(envelope).decode().encode("utf-16")
    )

    probe.publish(parcel)

    assert eventually(lambda: probe.dead(parcel.body)).cause == "unreadable"
    probe.still_works()


@pytest.mark.parametrize(
    "data",
    [b"{}", b"[]", b"null", b'{"order_id":"no uuid","lines":[],"hold_s":1}', b'{"order_id":1}'],
    ids=["nothing", "array", "null", "bad id", "wrong type"],
)
def test_a_message_of_the_wrong_shape_is_buried(probe: Probe, data: bytes) -> None:
    parcel = parcel_of(replace(good(), data=msgspec.Raw(data)))

    probe.publish(parcel)

    letter = eventually(lambda: probe.dead(parcel.body))
    assert letter.cause == "unreadable"
    assert "wrong shape" in letter.reason
    assert letter.type == "inventory.reserve_stock"
    probe.still_works()


@pytest.mark.parametrize(
    "changes",
    [{"type": "inventory.never_heard_of", "source": "orders"}, {"version": 99}],
    ids=["unknown type", "future version"],
)
def test_what_a_newer_release_may_know_is_tried_again_first(probe: Probe, changes: dict[str, Any]) -> None:
    envelope = replace(good(), **changes)
    parcel = parcel_of(envelope, routing_key="inventory.reserve_stock")

    probe.publish(parcel)

    letter = eventually(lambda: probe.dead(parcel.body))
    assert letter.cause == "unknown-contract"
    assert letter.attempts == 2
    probe.still_works()


def test_a_type_that_has_no_handler_here_is_tried_again_first(probe: Probe) -> None:
    envelope = replace(good(), type="inventory.commit_stock")
    parcel = parcel_of(envelope, routing_key="inventory.reserve_stock")

    probe.publish(parcel)

    letter = eventually(lambda: probe.dead(parcel.body))
    assert letter.cause == "unknown-contract"
    assert "no handler" in letter.reason
    probe.still_works()


@pytest.mark.parametrize("source", ["payments", "inventory", ""])
def test_a_message_from_another_than_it_says_is_buried(probe: Probe, source: str) -> None:
    parcel = parcel_of(replace(good(), source=source))

    probe.publish(parcel)

    letter = eventually(lambda: probe.dead(parcel.body))
    assert letter.cause == "forged"
    assert "orders" in letter.reason
    probe.still_works()


def test_a_message_without_a_user_is_buried(probe: Probe) -> None:
    servers = probe.servers.servers
    parcel = parcel_of(good())
    connection = amqp.Connection(
        servers.rabbitmq.address, "admin", servers.rabbitmq.password, virtual_host="orderflow"
    )
    connection.connect()
    message = amqp.Message(
        parcel.body, application_headers=parcel.headers, content_type="application/json", delivery_mode=2
    )

    connection.channel().basic_publish(message, exchange="messages", routing_key=parcel.routing_key)

    assert eventually(lambda: probe.dead(parcel.body)).cause == "forged"
    connection.close()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"eta": "the day after tomorrow", "expires": "yesterday"},
        {"eta": "2099-01-01T00:00:00", "timelimit": "never", "retries": "many"},
        {"task": 7, "id": None, "root_id": {"a": 1}, "argsrepr": b"\xff"},
        {"retries": 2**40, "x-delivery-count": "lots"},
    ],
    ids=["no task header", "bad eta", "far eta", "wrong types", "absurd retries"],
)
def test_bad_headers_do_not_matter_when_the_body_is_good(probe: Probe, headers: dict[str, Any]) -> None:
    order = order_of("good")
    parcel = parcel_of(sealed(order), headers=headers)

    probe.publish(parcel)

    eventually(lambda: probe.effects(order) == 1)
    probe.still_works()


@pytest.mark.parametrize(
    "headers",
    [
        {"x-dead-attempts": "some", "x-dead-at": "then", "x-dead-queue": 5, "x-death": "murder"},
        {"task": "\x00", "odd\x00": "\x00", "retries": 2**40},
        {"task": "\udcff", "lone": "\ud800"},
        {"big": "x" * 130_000},
    ],
    ids=["forged marks", "what JSONB refuses", "surrogates", "as large as they may be"],
)
def test_no_header_keeps_a_dead_letter_from_its_table(probe: Probe, headers: dict[str, Any]) -> None:
    parcel = parcel_of(good(), headers=headers, body=marked(b"not JSON %s"))

    probe.publish(parcel)

    assert eventually(lambda: probe.dead(parcel.body)).cause == "unreadable"
    probe.still_works()


def test_nor_does_a_text_that_postgresql_refuses(probe: Probe) -> None:
    nul = parcel_of(replace(good(), source="\x00", subject="\x00"))
    name = token_urlsafe(9_000)  # longer than an index takes
    long = parcel_of(replace(good(), type=name, subject=name), routing_key="inventory.reserve_stock")

    probe.publish(nul, long)

    assert eventually(lambda: probe.dead(nul.body)).cause == "forged"
    assert eventually(lambda: probe.dead(long.body)).cause == "unknown-contract"
    probe.still_works()


def test_what_the_broker_itself_buries_says_so(probe: Probe) -> None:
    """RabbitMQ's own dead-lettering is the net below ours: it keeps the headers that others wrote."""
    own = Publisher(probe.servers.access.broker_url("inventory"))
    envelope = good()
    body = celery_body(envelope)
    headers = {**headers_of(envelope), "x-death": [{"reason": "delivery_limit", "queue": "inventory"}]}

    own.publish([Parcel("1", "inventory.x", "inventory.dead", body, headers)])
    own.close()

    letter = eventually(lambda: probe.dead(body))
    assert letter.cause == "broker: delivery_limit"
    assert letter.message_id == envelope.id


@pytest.mark.parametrize("body", [b"not compressed %s", zlib.compress(b"not JSON")])
def test_a_compressed_message_is_buried(probe: Probe, body: bytes) -> None:
    """Kombu opens what says that it is compressed, and Celery would acknowledge away what it cannot open."""
    parcel = parcel_of(good(), body=marked(body), headers={"compression": "application/x-gzip"})

    probe.publish(parcel)

    opened = b"not JSON" if b"%s" not in body else parcel.body
    assert eventually(lambda: probe.dead(opened)).cause == "unreadable"
    probe.still_works()


def test_a_handler_s_exception_is_tried_again_and_then_buried(probe: Probe) -> None:
    (envelope,) = probe.send(order_of("raise"))

    letter = eventually(lambda: probe.dead(celery_body(envelope)))

    assert letter.cause == "attempts-used-up: RuntimeError"
    assert letter.reason == "RuntimeError: the handler is broken"
    assert "_raise" in letter.traceback
    assert letter.attempts == 2
    assert letter.queue == "inventory"
    probe.still_works()


def test_a_passing_failure_costs_an_attempt_and_no_effect(probe: Probe) -> None:
    order = order_of("raise-once")

    (envelope,) = probe.send(order)

    eventually(lambda: probe.effects(order) == 1)
    assert probe.scalar("SELECT attempts FROM inbox WHERE message_id = %(id)s", id=envelope.id) == 2


def test_one_bad_message_in_a_batch_harms_no_other(probe: Probe) -> None:
    orders = [order_of("good") for _ in range(40)]
    bad = sealed(order_of("raise"))
    unreadable = parcel_of(good(), body=marked(b"not JSON %s"))
    parcels = [parcel_of(sealed(order)) for order in orders]

    probe.publish(*parcels[:20], parcel_of(bad), unreadable, *parcels[20:])

    eventually(lambda: all(probe.effects(order) == 1 for order in orders))
    eventually(lambda: probe.dead(unreadable.body))
    eventually(lambda: probe.dead(celery_body(bad)))


def test_extra_fields_are_ignored(probe: Probe) -> None:
    order = order_of("good")
    plain = sealed(order)
    data = msgspec.json.decode(plain.data) | {"news": [1, 2]}
    envelope = msgspec.json.decode(encode(replace(plain, data=msgspec.Raw(msgspec.json.encode(data)))))
    body = msgspec.json.encode([[{**envelope, "tenant": "x"}], {}, None])

    probe.publish(parcel_of(plain, body=body))

    eventually(lambda: probe.effects(order) == 1)
