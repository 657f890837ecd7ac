"""Messages that share an AMQP message share nothing else: each has its own effect, attempts and dead letter."""

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from uuid import uuid4

import amqp
import pytest
from msgspec.structs import replace
from probe import Probe, eventually, headers_of, order_of, parcel_of, sealed

from shared_events import bundles
from shared_events.contract import Envelope
from shared_events.contracts.inventory import ProductChanged, StockReserved
from shared_events.contracts.values import Money
from shared_events.delivery import Delivery
from shared_events.outbox import BODY_HEAD, BODY_TAIL, celery_body
from shared_events.parcel import Parcel
from shared_events.publisher import Outcome, Publisher, connect
from shared_events.relay import Relay


@pytest.fixture
def quiet(idle_probe: Probe) -> Iterator[Probe]:
    """No process runs, and nothing waits for Orders."""
    idle_probe.stop_processes()
    idle_probe.received("orders")
    yield idle_probe
    idle_probe.stop_processes()


def bundle_of(envelopes: Sequence[Envelope], **headers: object) -> Parcel:
    """Return these messages as one, as a relay ties them."""
    first = envelopes[0]
    body = bundles.join([celery_body(each) for each in envelopes])
    own = {**headers_of(first), bundles.COUNT: len(envelopes), **headers}
    return Parcel(str(first.id), "messages", first.type, body, own)


def test_each_message_of_a_bundle_takes_effect_once_and_a_bad_one_is_buried_by_itself(probe: Probe) -> None:
    orders = [order_of("good") for _ in range(6)]
    good = [sealed(order) for order in orders]
    broken, forged = sealed(order_of("raise")), replace(sealed(order_of("good")), source="payments")
    shapeless = replace(sealed(order_of("good")), data=b'{"lines":1}')

    probe.publish(bundle_of([*good[:3], broken, forged, good[0], shapeless, *good[3:]]))

    for bad, cause in (
        (broken, "attempts-used-up: RuntimeError"),
        (forged, "forged"),
        (shapeless, "unreadable"),
    ):
        letter = eventually(partial(probe.dead, celery_body(bad)))
        assert letter.cause == cause
        assert letter.message_id == (None if bad is forged else bad.id)
    assert [probe.effects(order) for order in orders] == [1] * 6
    assert probe.depth("inventory") == 0
    probe.still_works()


def test_one_that_kills_its_process_is_buried_and_the_rest_of_its_bundle_is_handled(probe: Probe) -> None:
    neighbours = [order_of("good") for _ in range(9)]
    poison = sealed(order_of("exit"))
    envelopes = [sealed(order) for order in neighbours]

    probe.publish(bundle_of([*envelopes[:4], poison, *envelopes[4:]]))

    letter = eventually(partial(probe.dead, celery_body(poison)), within_s=60)
    assert letter.cause == "killed-its-worker"
    eventually(lambda: all(probe.effects(order) == 1 for order in neighbours))
    probe.still_works()


def test_a_worker_killed_in_the_middle_of_bundles_loses_and_doubles_nothing(idle_probe: Probe) -> None:
    orders = [order_of("good") for _ in range(1000)]
    envelopes = [sealed(order) for order in orders]
    worker = idle_probe.worker()
    before, _ = idle_probe.all_effects()

    idle_probe.publish(*(bundle_of(envelopes[at : at + 10]) for at in range(0, 1000, 10)))
    eventually(lambda: idle_probe.all_effects()[0] > before + 100)
    worker.kill()
    idle_probe.worker()

    eventually(lambda: idle_probe.all_effects()[1] == before + 1000, within_s=60)
    assert idle_probe.all_effects() == (before + 1000, before + 1000)


def test_a_message_with_an_odd_name_harms_none_of_its_bundle(probe: Probe) -> None:
    orders = [order_of("good") for _ in range(2)]
    good = [celery_body(sealed(order)) for order in orders]
    odd = BODY_HEAD + b'{"id":%d}' % uuid4().int + BODY_TAIL
    bundle = parcel_of(sealed(orders[0]), body=bundles.join([good[0], odd, good[1]]))

    probe.publish(dataclasses.replace(bundle, headers={**bundle.headers, bundles.COUNT: 3}))

    assert eventually(lambda: probe.dead(odd)).cause == "unreadable"
    eventually(lambda: [probe.effects(order) for order in orders] == [1, 1])


@pytest.mark.parametrize("count", [2, 4, bundles.TAKEN_AT_MOST + 1, 10**9])
def test_what_holds_another_number_than_it_says_is_not_taken_apart(count: int) -> None:
    body = bundles.join([celery_body(sealed(order_of("good"))) for _ in range(3)])
    delivery = Delivery(body, {bundles.COUNT: count}, "application/json", "utf-8", "", "", "")

    assert bundles.split(delivery) == [delivery]


@pytest.mark.parametrize("body", [b"not JSON", b'[[],{},{"no":"arguments"}]', b'[[{"no":"id"}],{},{}]'])
def test_a_bundle_that_cannot_be_taken_apart_is_one_dead_letter(probe: Probe, body: bytes) -> None:
    marked = body + b" " * (uuid4().int % 1000)

    probe.publish(parcel_of(sealed(order_of("good")), body=marked, headers={bundles.COUNT: 5}))

    assert eventually(lambda: probe.dead(marked)).cause == "unreadable"
    probe.still_works()


def test_a_bundle_that_the_broker_buries_becomes_a_dead_letter_for_each_message(probe: Probe) -> None:
    envelopes = [sealed(order_of("good")) for _ in range(3)]
    death = [{"reason": "delivery_limit", "queue": "inventory"}]
    bundle = bundle_of(envelopes, **{"x-death": death})
    with Publisher(probe.servers.access.broker_url("inventory")) as own:
        own.publish([Parcel("1", "inventory.x", "inventory.dead", bundle.body, bundle.headers)])

    for envelope in envelopes:
        letter = eventually(partial(probe.dead, celery_body(envelope)))
        assert (letter.cause, letter.message_id) == ("broker: delivery_limit", envelope.id)


class Choosy(Publisher):
    """A publisher whose broker refuses whatever holds a certain text."""

    text = b""

    def publish(self, parcels: Sequence[Parcel]) -> Outcome:
        """Publish what does not hold it."""
        outcome = super().publish([each for each in parcels if self.text not in each.body])
        outcome.refused |= {each.id: "it is refused" for each in parcels if self.text in each.body}
        return outcome


@contextmanager
def everything_from(probe: Probe, queue: str) -> Iterator[list[amqp.Message]]:
    """Take the messages out of a queue for as long as this lasts."""
    got: list[amqp.Message] = []
    connection = connect(probe.servers.access.broker_url(queue))
    try:
        connection.channel().basic_consume(queue, no_ack=True, callback=got.append)
        yield got
        while True:
            connection.drain_events(timeout=0.3)
    except TimeoutError:
        pass
    finally:
        connection.close()


def deliveries(message: amqp.Message) -> list[Delivery]:
    """Return what a message from the broker holds."""
    body = message.body if isinstance(message.body, bytes) else message.body.encode()
    return bundles.split(Delivery(body, dict(message.headers), "application/json", "utf-8", "", "", ""))


def test_a_relay_bundles_what_is_of_one_type_but_facts_go_one_by_one(quiet: Probe) -> None:
    fact = ProductChanged(sku="LAMP", name="Lamp", price=Money(1, "EUR"), active=True, aggregate_version=1)
    replies = [StockReserved(order_id=uuid4()) for _ in range(25)]
    ids = quiet.emit(*replies, fact, fact)

    with everything_from(quiet, "orders") as got:
        quiet.relay()
        eventually(lambda: quiet.scalar("SELECT count(*) = 0 FROM outbox"))

    assert sorted(len(deliveries(message)) for message in got) == [1, 1, 5, 10, 10]
    assert {each.id for message in got for each in deliveries(message)} == {str(id_) for id_ in ids}


def test_one_that_the_broker_refuses_takes_none_of_its_bundle_with_it(quiet: Probe) -> None:
    replies = [StockReserved(order_id=uuid4()) for _ in range(10)]
    quiet.emit(*replies)
    with Choosy(quiet.servers.access.broker_url("inventory")) as publisher:
        publisher.text = str(replies[4].order_id).encode()
        with everything_from(quiet, "orders") as got:
            Relay("inventory", quiet.engine, publisher).turn()

    assert sum(len(deliveries(message)) for message in got) == 9
    letters = quiet.scalar("SELECT array_agg(subject) FROM dead_letters WHERE cause = 'cannot-be-published'")
    assert letters == [str(replies[4].order_id)]
