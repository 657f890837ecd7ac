"""Dead letters are searched, replayed to their own service only, discarded with a reason; all is on record."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from probe import Probe, eventually, order_of, parcel_of, sealed
from sqlalchemy import Connection

from shared_events import dead_letters
from shared_events.contract import Envelope
from shared_events.dead_letters import DISCARDED, HANDLED, OPEN, REPLAYED, Filter
from shared_events.outbox import celery_body


@pytest.fixture
def connection(probe: Probe) -> Iterator[Connection]:
    with probe.engine.begin() as made:
        yield made


@pytest.fixture(autouse=True)
def clean(probe: Probe) -> None:
    (Path(probe.home) / "mended").unlink(missing_ok=True)
    probe.execute("TRUNCATE dead_letters")


def buried(probe: Probe, sku: str = "until-mended") -> Envelope:
    """Send an order that fails, and wait for its dead letter."""
    (envelope,) = probe.send(order_of(sku))
    eventually(lambda: probe.dead(celery_body(envelope)))
    return envelope


def mend(probe: Probe) -> None:
    (Path(probe.home) / "mended").touch()


def status(probe: Probe, envelope: Envelope) -> str | None:
    letter = probe.dead(celery_body(envelope))
    return letter.status if letter else None


def test_they_are_searched_by_page_and_grouped_by_cause(probe: Probe, connection: Connection) -> None:
    broken, torn = buried(probe), parcel_of(sealed(order_of("good")), body=b"torn")
    probe.publish(torn)
    eventually(lambda: probe.dead(b"torn"))

    newest, oldest = dead_letters.search(connection, Filter(), limit=10)
    assert (newest.cause, oldest.cause) == ("unreadable", "attempts-used-up: RuntimeError")
    assert dead_letters.search(connection, Filter(), limit=1) == [newest]
    assert dead_letters.search(connection, Filter(), limit=1, before=newest.id) == [oldest]
    journey = Filter(correlation_id=broken.correlation_id)
    assert [row.id for row in dead_letters.search(connection, journey, limit=10)] == [oldest.id]
    assert {tuple(row)[:1] + tuple(row)[2:3] for row in dead_letters.causes(connection, Filter())} == {
        ("unreadable", 1),
        ("attempts-used-up: RuntimeError", 1),
    }
    assert dead_letters.replayable(connection, Filter(type="inventory.reserve_stock")) == [
        oldest.id,
        newest.id,
    ]
    whole = dead_letters.get(connection, oldest.id)
    assert whole is not None
    assert "not mended yet" in whole.traceback


def test_a_replay_after_the_cause_is_mended_takes_effect_once_and_only_there(probe: Probe) -> None:
    envelope = buried(probe)
    letter = probe.dead(celery_body(envelope))
    assert letter is not None
    orders_had = probe.depth_of("orders")
    mend(probe)

    with probe.engine.begin() as connection:
        assert dead_letters.replay(connection, "inventory", [letter.id], by="olga", reason="mended") == [
            letter.id
        ]
        again = dead_letters.replay(connection, "inventory", [letter.id], by="olga", reason="twice")

    assert again == []
    eventually(
        lambda: probe.scalar("SELECT count(*) FROM inbox WHERE message_id = %(i)s", i=envelope.id) == 1
    )
    assert probe.depth_of("orders") == orders_had
    audited = probe.dead(celery_body(envelope))
    assert audited is not None
    assert (audited.status, audited.resolved_by, audited.resolution) == (REPLAYED, "olga", "mended")
    assert audited.resolved_at is not None


def test_a_replayed_one_that_is_handled_besides_takes_effect_once(probe: Probe) -> None:
    """A late duplicate and the replay meet: whichever is first, the other finds the inbox."""
    order = order_of("until-mended")
    (envelope,) = probe.send(order)
    letter = eventually(lambda: probe.dead(celery_body(envelope)))
    mend(probe)

    with probe.engine.begin() as connection:
        replayed = dead_letters.replay(connection, "inventory", [letter.id], by="olga", reason="mended")
    probe.publish(parcel_of(envelope), parcel_of(envelope))

    assert replayed == [letter.id]
    eventually(lambda: probe.scalar("SELECT count(*) FROM outbox") == 0)
    probe.still_works()
    eventually(lambda: probe.depth("inventory") == 0)
    assert probe.effects(order) == 1


def test_a_replay_that_fails_again_is_a_new_dead_letter(probe: Probe) -> None:
    envelope = buried(probe)
    letter = probe.dead(celery_body(envelope))
    assert letter is not None

    with probe.engine.begin() as connection:
        dead_letters.replay(connection, "inventory", [letter.id], by="olga", reason="hope")

    count = "SELECT count(*) FROM dead_letters WHERE message_id = %(i)s AND status = %(s)s"
    eventually(lambda: probe.scalar(count, i=envelope.id, s=OPEN) == 1)
    assert probe.scalar(count, i=envelope.id, s=REPLAYED) == 1


def test_an_unreadable_one_can_be_replayed_and_comes_back(probe: Probe) -> None:
    probe.publish(parcel_of(sealed(order_of("good")), body=b"torn again"))
    letter = eventually(lambda: probe.dead(b"torn again"))

    with probe.engine.begin() as connection:
        dead_letters.replay(connection, "inventory", [letter.id], by="olga", reason="try")

    open_ones = "SELECT count(*) FROM dead_letters WHERE status = 'open'"
    eventually(lambda: probe.scalar(open_ones) == 1)
    probe.still_works()


def test_one_is_discarded_with_a_reason_and_stays_on_record(probe: Probe) -> None:
    envelope = buried(probe)
    letter = probe.dead(celery_body(envelope))
    assert letter is not None

    with probe.engine.begin() as connection:
        assert dead_letters.discard(connection, [letter.id], by="olga", reason="a test order") == [letter.id]

    kept = probe.dead(celery_body(envelope))
    assert kept is not None
    assert (kept.status, kept.resolved_by, kept.resolution) == (DISCARDED, "olga", "a test order")


def test_one_that_was_handled_meanwhile_closes_itself(probe: Probe) -> None:
    envelope = buried(probe)
    mend(probe)

    probe.publish(parcel_of(envelope))  # a duplicate, late on its way, now succeeds

    eventually(lambda: status(probe, envelope) == HANDLED)
    audited = probe.dead(celery_body(envelope))
    assert audited is not None
    assert audited.resolved_by == "orderflow"


def test_while_the_database_is_down_they_stay_in_the_queue_and_are_taken_once_after(probe: Probe) -> None:
    postgres = probe.servers.servers.postgres
    postgres.kill()
    try:
        torn = [b"torn while down %d" % each for each in range(3)]
        probe.publish(*(parcel_of(sealed(order_of("good")), body=body) for body in torn))

        eventually(lambda: probe.depth_of("inventory.dead") == 3, within_s=30)
    finally:
        postgres.start()
        probe.engine.dispose()

    for body in torn:
        eventually(lambda body=body: probe.dead(body), within_s=30)  # type: ignore[misc]
    eventually(lambda: probe.depth_of("inventory.dead") == 0)
    assert probe.scalar("SELECT count(*) FROM dead_letters") == 3
