"""A server that goes away delays messages; it loses none, doubles none and buries none."""

from collections.abc import Iterator

import pytest
from probe import Probe, eventually, order_of, parcel_of, sealed

from shared_events.publisher import NotPublished


@pytest.fixture(autouse=True)
def nothing_is_lost(probe: Probe) -> Iterator[None]:
    """Whatever was away: one effect an order, one attempt a message, and no dead letter."""
    yield
    effects, orders = probe.all_effects()
    assert effects == orders
    assert probe.scalar("SELECT count(*) FROM inbox WHERE attempts > 1") == 0
    assert probe.scalar("SELECT count(*) FROM dead_letters") == 0
    probe.still_works()


def send_until_taken(probe: Probe, count: int) -> int:
    """Send so many orders; a send that the broker did not confirm is repeated, as a relay would."""
    parcels = [parcel_of(sealed(order_of("good"))) for _ in range(count)]
    for start in range(0, count, 50):
        some = parcels[start : start + 50]
        eventually(lambda some=some: _taken(probe, some), within_s=60)  # type: ignore[misc]
    return count


def _taken(probe: Probe, some: list[object]) -> bool:
    try:
        probe.publish(*some)  # type: ignore[arg-type]
    except NotPublished:
        return False
    return True


def test_a_broker_that_is_killed_in_the_middle(probe: Probe) -> None:
    _, before = probe.all_effects()
    sent = send_until_taken(probe, 1000)

    probe.servers.servers.rabbitmq.kill()
    probe.servers.servers.rabbitmq.start()
    sent += send_until_taken(probe, 200)

    eventually(lambda: probe.all_effects()[1] == before + sent, within_s=60)


def test_a_broker_that_hangs_up_on_everybody(probe: Probe) -> None:
    _, before = probe.all_effects()
    sent = send_until_taken(probe, 500)

    probe.hang_up()

    sent += send_until_taken(probe, 500)
    eventually(lambda: probe.all_effects()[1] == before + sent, within_s=60)


def test_a_database_that_restarts_in_the_middle(probe: Probe) -> None:
    _, before = probe.all_effects()
    sent = send_until_taken(probe, 500)

    probe.servers.servers.postgres.kill()
    sent += send_until_taken(probe, 500)
    probe.servers.servers.postgres.start()
    probe.engine.dispose()

    eventually(lambda: probe.all_effects()[1] == before + sent, within_s=60)


def test_without_redis_everything_works(probe: Probe) -> None:
    probe.servers.servers.redis.kill()
    try:
        _, before = probe.all_effects()
        sent = send_until_taken(probe, 200)
        once_killed = order_of("killed-once")
        probe.send(once_killed)

        eventually(lambda: probe.all_effects()[1] == before + sent + 1, within_s=30)
    finally:
        probe.servers.servers.redis.start()
