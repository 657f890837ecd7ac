"""What a service may not send gets in by no way round: not by a replay, a copy, or a letter of the broker's."""

import dataclasses
from typing import Any

import pytest
from msgspec.structs import replace
from probe import Probe, eventually, headers_of, order_of, parcel_of, sealed
from sqlalchemy import Row

from shared_events import dead_letters
from shared_events.contract import Envelope
from shared_events.contracts.inventory import ReserveStock
from shared_events.dead_letters import DISCARDED, FORGED, OPEN, Filter
from shared_events.outbox import celery_body
from shared_events.parcel import Parcel
from shared_events.publisher import Publisher, connect


@pytest.fixture(autouse=True)
def clean(probe: Probe) -> None:
    probe.execute("TRUNCATE dead_letters")


def publish_as(probe: Probe, user: str, *parcels: Parcel) -> None:
    with Publisher(probe.servers.access.broker_url(user)) as publisher:
        assert publisher.publish(parcels).confirmed


def smuggled(envelope: Envelope, **headers: Any) -> Parcel:
    """Return Orders' command as Customers can publish it: under a name of its own, and by CC to Inventory."""
    return parcel_of(
        envelope,
        routing_key="customers.customer_changed",
        headers={**headers_of(envelope), "CC": ["inventory.reserve_stock"], **headers},
    )


def letter_of(probe: Probe, envelope: Envelope) -> Row[Any]:
    return eventually(lambda: probe.dead(celery_body(envelope)))


def replayed(probe: Probe, letter: Row[Any]) -> list[Any]:
    with probe.engine.begin() as connection:
        return dead_letters.replay(connection, "inventory", [letter.id], by="olga", reason="try")


def never_took_effect(probe: Probe, order: ReserveStock) -> bool:
    probe.still_works()
    return probe.effects(order) == 0


def test_a_forged_one_is_never_replayed_but_can_be_discarded(probe: Probe) -> None:
    order = order_of("good")
    envelope = sealed(order)
    publish_as(probe, "customers", smuggled(envelope))
    letter = letter_of(probe, envelope)
    assert (letter.cause, letter.message_id) == (FORGED, None)

    assert replayed(probe, letter) == []

    assert letter_of(probe, envelope).status == OPEN
    assert never_took_effect(probe, order)
    with probe.engine.begin() as connection:
        assert dead_letters.replayable(connection, Filter()) == []
        dead_letters.discard(connection, [letter.id], by="olga", reason="not ours")
    assert letter_of(probe, envelope).status == DISCARDED


def test_nor_does_our_own_copy_carry_it_in(probe: Probe) -> None:
    """RabbitMQ routes by `CC` too: our dead letter must not take its sender's way in our name."""
    order = order_of("good")
    envelope = sealed(order)

    publish_as(probe, "customers", smuggled(envelope, CC=["inventory.reserve_stock", "work"]))

    assert letter_of(probe, envelope).cause == FORGED
    assert never_took_effect(probe, order)


@pytest.mark.parametrize("label", [{"content_type": "text/plain"}, {"content_type": b"\xff"}])
def test_a_wrong_label_hides_no_forgery(probe: Probe, label: dict[str, Any]) -> None:
    """A replay gets the right label, and would be readable."""
    envelope = sealed(order_of("good"))

    publish_as(probe, "customers", dataclasses.replace(smuggled(envelope), **label))
    letter = letter_of(probe, envelope)

    assert letter.cause == FORGED
    assert replayed(probe, letter) == []


def test_one_that_was_buried_unread_is_looked_at_by_the_collector(probe: Probe) -> None:
    envelope = sealed(order_of("good"))
    marks = {"x-dead-cause": "killed-its-worker", "x-dead-user": "customers", "x-dead-exchange": "messages"}

    publish_as(probe, "inventory", Parcel("1", "inventory.x", "inventory.dead", celery_body(envelope), marks))

    letter = letter_of(probe, envelope)
    assert (letter.cause, letter.message_id) == (FORGED, None)
    assert "customers" in letter.reason


@pytest.mark.parametrize(
    ("user", "cause"),
    [("customers", FORGED), ("orders", "broker: rejected"), ("inventory", "broker: rejected")],
)
def test_what_the_broker_buries_must_be_shown_to_be_genuine(probe: Probe, user: str, cause: str) -> None:
    order = order_of("good")
    envelope = sealed(order)
    probe.stop_processes()
    parcel = parcel_of(envelope)
    if user == "customers":
        parcel = smuggled(envelope, **{"x-dead-cause": "a bug", "x-dead-user": "orders"})
    if user == "inventory":
        parcel = parcel_of(envelope, exchange="inventory.x", routing_key="work")
    publish_as(probe, user, parcel)
    reject_one(probe)
    probe.relay()
    probe.worker()

    letter = letter_of(probe, envelope)

    assert letter.cause == cause
    assert replayed(probe, letter) == ([] if cause == FORGED else [letter.id])
    eventually(lambda: probe.effects(order) == (0 if cause == FORGED else 1))


def reject_one(probe: Probe) -> None:
    """Reject the message in the work queue, so that the broker dead-letters it."""
    connection = connect(probe.servers.access.broker_url("inventory"))
    channel = connection.channel()
    channel.auto_decode = False
    message = eventually(lambda: channel.basic_get("inventory"))
    channel.basic_reject(message.delivery_tag, requeue=False)
    connection.close()


def test_it_hides_behind_no_other_letter_and_hides_none(probe: Probe) -> None:
    genuine = sealed(order_of("raise"))
    forged = replace(genuine, data=sealed(order_of("good")).data)  # the same id
    publish_as(probe, "customers", smuggled(forged))
    letter_of(probe, forged)

    probe.publish(parcel_of(genuine))

    assert letter_of(probe, genuine).message_id == genuine.id
    publish_as(probe, "customers", smuggled(replace(forged, subject="again")))
    eventually(lambda: probe.scalar("SELECT count(*) FROM dead_letters WHERE cause = 'forged'") == 2)


def test_it_is_not_closed_by_the_message_whose_id_it_wrote(probe: Probe) -> None:
    order = order_of("good")
    genuine = sealed(order)
    probe.publish(parcel_of(genuine))
    eventually(lambda: probe.effects(order) == 1)
    forged = replace(genuine, data=sealed(order_of("good")).data)
    publish_as(probe, "customers", smuggled(forged))
    letter_of(probe, forged)

    with probe.engine.begin() as connection:
        dead_letters.close_handled(connection)

    assert letter_of(probe, forged).status == OPEN
