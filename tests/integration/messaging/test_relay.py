"""The relay: what is committed leaves, whatever happens to relays; what cannot leave stops nothing."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from probe import Probe, eventually, measured

from shared_events import database, dead_letters
from shared_events.contracts.inventory import ProductChanged, StockReserved
from shared_events.contracts.values import Money
from shared_events.linger import SHORT_S
from shared_events.parcel import Parcel
from shared_events.publisher import Outcome, Publisher
from shared_events.relay import BATCH, Relay
from shared_events.tables import DEAD_LETTERS


def changed(version: int = 1) -> ProductChanged:
    """A fact of Inventory; in these tests it waits in Orders' queue, which nobody consumes."""
    return ProductChanged(
        sku="LAMP", name="Lamp", price=Money(100, "EUR"), active=True, aggregate_version=version
    )


@pytest.fixture(autouse=True)
def nothing_is_left(idle_probe: Probe) -> Iterator[None]:
    idle_probe.received("orders")
    yield
    idle_probe.stop_processes()
    idle_probe.execute("TRUNCATE outbox, dead_letters")
    idle_probe.received("orders")


def waiting(probe: Probe) -> int:
    return int(probe.scalar("SELECT count(*) FROM outbox"))


def in_hand(probe: Probe) -> int:
    """Return how many rows some relay has locked."""
    free = "SELECT count(*) FROM (SELECT FROM outbox FOR UPDATE SKIP LOCKED) AS free"
    return waiting(probe) - int(probe.scalar(free))


class DiesAfterPublishing(Publisher):
    """A publisher whose process is killed when the broker has everything."""

    def publish(self, parcels: Sequence[Parcel]) -> Outcome:
        super().publish(parcels)
        raise SystemExit


class Pauses(threading.Event):
    """Is set at the third wait; notes how long each would have been."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        if len(self.seconds) == 3:
            self.set()
        return self.is_set()


def test_what_is_committed_leaves_once(idle_probe: Probe) -> None:
    ids = idle_probe.emit(*(changed() for _ in range(1200)))

    idle_probe.relay()

    eventually(lambda: waiting(idle_probe) == 0)
    assert sorted(idle_probe.received("orders")) == sorted(ids)


def test_a_sleeping_relay_wakes_for_a_message(idle_probe: Probe) -> None:
    idle_probe.relay()
    eventually(lambda: idle_probe.scalar("SELECT asleep FROM relay_state"))

    (only,) = idle_probe.emit(changed())

    assert eventually(lambda: idle_probe.received("orders"), within_s=0.6) == [only]


def test_a_relay_gathers_only_when_it_has_taken_all_that_was_due(idle_probe: Probe) -> None:
    idle_probe.emit(*(changed() for _ in range(2 * BATCH + 200)))
    pauses = Pauses()

    with Publisher(idle_probe.servers.access.broker_url("inventory")) as publisher:
        Relay("inventory", idle_probe.engine, publisher).run(pauses)

    assert waiting(idle_probe) == 0
    full, full_again, last = pauses.seconds
    assert full == full_again == 0
    assert last is not None
    assert last >= SHORT_S


def test_what_is_found_by_keys_is_planned_without_bitmaps_even_while_its_table_is_empty(
    idle_probe: Probe,
) -> None:
    due = "SELECT id FROM outbox WHERE available_at <= now() ORDER BY available_at LIMIT 500 FOR UPDATE SKIP LOCKED"
    url = idle_probe.servers.access.database_url("inventory")
    keyed = database.engine(url, pool_size=1, process="test", keyed=True)
    idle_probe.execute("TRUNCATE outbox")

    with keyed.connect() as connection:
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {due}").scalars())

    keyed.dispose()
    assert "Index Scan using outbox_available_at" in plan
    assert "Bitmap" not in plan


def test_a_relay_that_dies_between_publishing_and_deleting_only_repeats(idle_probe: Probe) -> None:
    ids = idle_probe.emit(*(changed() for _ in range(10)))
    with (
        DiesAfterPublishing(idle_probe.servers.access.broker_url("inventory")) as publisher,
        suppress(SystemExit),
    ):
        Relay("inventory", idle_probe.engine, publisher).turn()

    idle_probe.relay()

    eventually(lambda: waiting(idle_probe) == 0)
    assert sorted(idle_probe.received("orders")) == sorted(2 * ids)


def test_relays_killed_in_the_middle_lose_nothing(idle_probe: Probe) -> None:
    ids = idle_probe.emit(*(changed() for _ in range(3000)))

    first = idle_probe.relay()
    eventually(lambda: waiting(idle_probe) < 3000)
    first.kill()
    idle_probe.relay()

    eventually(lambda: waiting(idle_probe) == 0)
    assert set(idle_probe.received("orders")) == set(ids)


def test_a_relay_that_is_stopped_in_the_middle_leaves_nothing_to_be_sent_again(idle_probe: Probe) -> None:
    ids = idle_probe.emit(*(changed() for _ in range(3000)))

    first = idle_probe.relay()
    eventually(lambda: waiting(idle_probe) < 3000)
    first.terminate()

    assert first.wait(10)
    kept = idle_probe.scalar("SELECT array_agg(id) FROM outbox") or []
    assert sorted([*idle_probe.received("orders"), *kept]) == sorted(ids)


def test_when_a_relay_freezes_the_server_takes_its_rows_and_another_goes_on(idle_probe: Probe) -> None:
    idle_probe.servers.servers.rabbitmq.pause()  # so that the first has rows in hand
    ids = idle_probe.emit(*(changed() for _ in range(600)))
    frozen = idle_probe.relay()
    try:
        eventually(lambda: in_hand(idle_probe))
    finally:
        frozen.pause()
        idle_probe.servers.servers.rabbitmq.resume()

    idle_probe.relay()
    eventually(lambda: waiting(idle_probe) == 0, within_s=30)
    frozen.resume()

    arrived = idle_probe.received("orders")
    assert set(arrived) == set(ids)


def test_two_relays_share_the_work(idle_probe: Probe) -> None:
    relays = [idle_probe.relay(), idle_probe.relay()]
    for relay in relays:
        eventually(partial(measured, relay, "process_start"))

    ids = [idle_probe.emit(*(changed() for _ in range(700))) for _ in range(3)]

    eventually(lambda: waiting(idle_probe) == 0)
    assert sorted(idle_probe.received("orders")) == sorted(each for some in ids for each in some)
    shares = [measured(relay, 'orderflow_published_total{outcome="confirmed"}') for relay in relays]
    assert sum(shares) == 2100
    assert all(shares), shares


def test_what_the_broker_forbids_is_buried_and_the_rest_pass(idle_probe: Probe) -> None:
    ids = idle_probe.emit(*(changed() for _ in range(20)))
    forbidden, foreign = ids[7], ids[13]
    idle_probe.execute("UPDATE outbox SET exchange = 'payments.x' WHERE id = %(id)s", id=forbidden)
    idle_probe.execute("UPDATE outbox SET routing_key = 'orders.order_created' WHERE id = %(id)s", id=foreign)

    idle_probe.relay()

    eventually(lambda: waiting(idle_probe) == 0)
    assert set(idle_probe.received("orders")) == set(ids) - {forbidden, foreign}
    for lost in (forbidden, foreign):
        letter = dead(idle_probe, lost)
        assert letter.cause == "cannot-be-published"
        assert "ACCESS_REFUSED" in letter.reason


def test_a_reply_that_nobody_can_receive_is_buried_and_its_replay_leaves_again(idle_probe: Probe) -> None:
    relay = idle_probe.relay()
    with unbound(idle_probe, "inventory.stock_reserved"):
        (lost,) = idle_probe.emit(StockReserved(order_id=uuid4()))
        eventually(lambda: dead(idle_probe, lost))
    letter = dead(idle_probe, lost)
    assert letter.cause == "unroutable"
    assert waiting(idle_probe) == 0

    with idle_probe.engine.begin() as connection:
        assert dead_letters.replay(connection, "inventory", [letter.id], by="eve", reason="bound") == [
            letter.id
        ]

    assert eventually(lambda: idle_probe.received("orders")) == [lost]
    assert measured(relay, 'orderflow_published_total{outcome="confirmed"}') == 1


def test_a_fact_that_nobody_wants_is_no_dead_letter(idle_probe: Probe) -> None:
    relay = idle_probe.relay()

    with unbound(idle_probe, "inventory.product_changed"):
        idle_probe.emit(changed())
        eventually(lambda: measured(relay, 'orderflow_published_total{outcome="confirmed"}') == 1)

    eventually(lambda: waiting(idle_probe) == 0)
    assert idle_probe.scalar("SELECT count(*) FROM dead_letters") == 0


def test_what_a_silent_broker_has_not_confirmed_stays_in_the_outbox(idle_probe: Probe) -> None:
    idle_probe.relay()
    first = idle_probe.emit(changed())
    eventually(lambda: waiting(idle_probe) == 0)

    broker = idle_probe.servers.servers.rabbitmq
    broker.pause()
    try:
        rest = idle_probe.emit(*(changed() for _ in range(20)))
        eventually(lambda: in_hand(idle_probe) == 20)
        time.sleep(1)  # a relay that did not wait would have deleted them in a hundredth of this
        kept = waiting(idle_probe)
    finally:
        broker.resume()

    assert kept == 20
    eventually(lambda: waiting(idle_probe) == 0, within_s=30)
    assert set(idle_probe.received("orders")) == {*first, *rest}


def test_while_the_broker_is_away_the_outbox_keeps_everything(idle_probe: Probe) -> None:
    relay = idle_probe.relay()
    eventually(lambda: measured(relay, "process_start"))
    # Stopped, not killed: a binding made a moment ago (by the test before) must be on the disk.
    idle_probe.servers.servers.rabbitmq.stop()

    ids = idle_probe.emit(*(changed() for _ in range(700)))
    time.sleep(2)  # long enough to have taken and given back all of them
    assert waiting(idle_probe) == 700
    idle_probe.servers.servers.rabbitmq.start()

    eventually(lambda: waiting(idle_probe) == 0, within_s=30)
    assert set(idle_probe.received("orders")) == set(ids)


def dead(probe: Probe, message_id: UUID) -> Any:
    with probe.engine.connect() as connection:
        return connection.execute(
            DEAD_LETTERS.select().where(DEAD_LETTERS.c.message_id == message_id)
        ).first()


@contextmanager
def unbound(probe: Probe, routing_key: str) -> Iterator[None]:
    """Take Orders' binding for a type away meanwhile."""
    path = f"/api/bindings/orderflow/e/messages/q/orders/{routing_key}"
    with httpx2.Client(base_url=probe.servers.access.rabbitmq_admin_url) as api:
        assert api.delete(path).status_code == 204
    try:
        yield
    finally:
        probe.servers.access.provision()
