"""A message has one effect, however often and by whatever way it comes."""

from probe import Probe, eventually, order_of, parcel_of, sealed

from shared_events.contracts.inventory import HoldElapsed, KeepReservation, ReleaseStock
from shared_events.outbox import celery_body
from shared_events.parcel import Parcel
from shared_events.publisher import Publisher


def test_a_message_sent_twice_in_one_batch_takes_effect_once(probe: Probe) -> None:
    orders = [order_of("good") for _ in range(20)]
    parcels = [parcel_of(sealed(order)) for order in orders]

    for _ in range(2):
        probe.publish(*parcels)

    eventually(lambda: all(probe.effects(order) == 1 for order in orders))
    probe.still_works()
    assert all(probe.effects(order) == 1 for order in orders)


def test_a_message_sent_again_later_takes_no_second_effect(probe: Probe) -> None:
    order = order_of("good")
    parcel = parcel_of(sealed(order))
    probe.publish(parcel)
    eventually(lambda: probe.effects(order) == 1)

    probe.publish(parcel)

    probe.still_works()
    assert probe.effects(order) == 1


def test_the_same_command_under_a_new_id_reaches_the_handler_again(probe: Probe) -> None:
    """A re-sent command is the handler's to know: it answers again with its recorded outcome."""
    order = order_of("good")

    probe.send(order, order)

    eventually(lambda: probe.effects(order) == 2)


def test_a_duplicate_of_a_failing_message_is_buried_once(probe: Probe) -> None:
    envelope = sealed(order_of("raise"))

    probe.publish(parcel_of(envelope))
    probe.publish(parcel_of(envelope))

    eventually(lambda: probe.dead(celery_body(envelope)))
    probe.still_works()
    eventually(lambda: probe.depth("inventory.retry.1s") == 0 == probe.depth("inventory.dead"))
    count = "SELECT count(*) FROM dead_letters WHERE message_id = %(id)s"
    assert probe.scalar(count, id=envelope.id) == 1


def test_a_timer_fires_once_and_not_before_its_time(probe: Probe) -> None:
    order = order_of("timer")

    probe.send(order)

    eventually(lambda: probe.names(order) == ["timer"])
    assert probe.scalar("SELECT count(*) FROM outbox WHERE timer_key = %(key)s", key=str(order.order_id)) == 1
    eventually(lambda: probe.names(order) == ["fired", "timer"])
    eventually(lambda: probe.scalar("SELECT count(*) FROM outbox") == 0)


def test_a_cancelled_timer_never_fires(probe: Probe) -> None:
    order = order_of("good")
    probe.send(KeepReservation(order_id=order.order_id, hold_s=1.0))
    waiting = "SELECT count(*) FROM outbox WHERE timer_key = %(key)s"
    eventually(lambda: probe.scalar(waiting, key=str(order.order_id)) == 1)

    probe.send(ReleaseStock(order_id=order.order_id))

    eventually(lambda: probe.names(order) == ["cancelled"])
    assert probe.scalar(waiting, key=str(order.order_id)) == 0


def test_a_timer_that_is_begun_and_cancelled_in_one_batch_never_fires(probe: Probe) -> None:
    order = order_of("good")
    begin, end = (
        sealed(KeepReservation(order_id=order.order_id, hold_s=0.2)),
        sealed(ReleaseStock(order_id=order.order_id)),
    )

    probe.publish(*(parcel_of(sealed(order_of("a-little"))) for _ in range(2)))  # both processes are busy
    probe.publish(parcel_of(begin), parcel_of(end))

    eventually(lambda: "cancelled" in probe.names(order))
    assert probe.scalar("SELECT count(*) FROM outbox WHERE subject = %(id)s", id=str(order.order_id)) == 0


def test_a_timer_fires_only_for_its_own_service(probe: Probe) -> None:
    """A timer stays on its service's exchange; nobody else may send one."""
    order = order_of("good")
    envelope = sealed(HoldElapsed(order_id=order.order_id))
    own = Publisher(probe.servers.access.broker_url("inventory"))

    refused = probe.sender.publish([parcel_of(envelope, exchange="inventory.x")])
    taken = own.publish([Parcel("1", "inventory.x", envelope.type, celery_body(envelope), {})])
    own.close()

    assert "ACCESS_REFUSED" in refused.refused[str(envelope.id)]
    assert taken.confirmed == {"1"}
    eventually(lambda: probe.names(order) == ["fired"])
