"""What kills or blocks a pool process harms itself only; what was in its hands takes effect once."""

import os
import signal
from functools import partial
from uuid import uuid4

from probe import Probe, eventually, order_of, parcel_of, sealed

from shared_events.outbox import celery_body


def test_a_message_that_kills_its_process_each_time_is_buried_and_its_neighbours_are_handled(
    probe: Probe,
) -> None:
    neighbours = [order_of("good") for _ in range(20)]
    poison, worse = sealed(order_of("exit")), sealed(order_of("killed"))
    parcels = [parcel_of(sealed(order)) for order in neighbours]

    probe.publish(*parcels[:10], parcel_of(poison), parcel_of(worse), *parcels[10:])

    for body in (celery_body(poison), celery_body(worse)):
        letter = eventually(partial(probe.dead, body), within_s=60)
        assert letter.cause == "killed-its-worker"
        assert "3 times while it ran alone" in letter.reason
    eventually(lambda: all(probe.effects(order) == 1 for order in neighbours))
    probe.still_works()


def test_a_message_that_kills_its_process_once_takes_effect_once(probe: Probe) -> None:
    order = order_of("killed-once")

    probe.send(order)

    eventually(lambda: probe.effects(order) > 0)
    probe.still_works()
    assert probe.effects(order) == 1


def test_a_handler_over_the_soft_limit_is_tried_again_and_then_buried(probe: Probe) -> None:
    (envelope,) = probe.send(order_of("slow"))

    letter = eventually(lambda: probe.dead(celery_body(envelope)), within_s=30)

    assert letter.cause == "attempts-used-up: SoftTimeLimitExceeded"
    assert "_slow" in letter.traceback
    probe.still_works()


def test_a_slow_handler_costs_its_batch_no_process(probe: Probe) -> None:
    neighbours = [order_of("good") for _ in range(20)]
    parcels = [parcel_of(sealed(order)) for order in neighbours]
    slow = sealed(order_of("slow"))

    probe.publish(*parcels[:10], parcel_of(slow), *parcels[10:])

    eventually(lambda: all(probe.effects(order) == 1 for order in neighbours), within_s=30)
    assert eventually(lambda: probe.dead(celery_body(slow)), within_s=30).cause.endswith(
        "SoftTimeLimitExceeded"
    )


def test_a_message_that_breaks_its_connection_each_time_is_buried_and_holds_up_nothing(probe: Probe) -> None:
    neighbours = [order_of("good") for _ in range(20)]
    parcels = [parcel_of(sealed(order)) for order in neighbours]
    cut = sealed(order_of("cut"))

    probe.publish(*parcels[:10], parcel_of(cut), *parcels[10:])

    eventually(lambda: all(probe.effects(order) == 1 for order in neighbours), within_s=30)
    letter = eventually(lambda: probe.dead(celery_body(cut)), within_s=30)
    assert letter.cause == "attempts-used-up: BrokeItsConnection"


def test_a_handler_over_the_hard_limit_is_buried_too(probe: Probe) -> None:
    neighbours = [order_of("good") for _ in range(5)]
    stuck = sealed(order_of("stuck"))

    probe.publish(parcel_of(stuck), *(parcel_of(sealed(order)) for order in neighbours))

    letter = eventually(lambda: probe.dead(celery_body(stuck)), within_s=60)
    assert letter.cause == "killed-its-worker"
    eventually(lambda: all(probe.effects(order) == 1 for order in neighbours))
    probe.still_works()


def test_a_pool_process_killed_from_outside_loses_and_doubles_nothing(probe: Probe) -> None:
    orders = [order_of("a-little") for _ in range(4)]

    probe.send(*orders)
    eventually(probe.pool_processes)
    for pid in probe.pool_processes():
        os.kill(pid, signal.SIGKILL)

    eventually(lambda: all(probe.effects(order) for order in orders), within_s=30)
    probe.still_works()
    assert [probe.effects(order) for order in orders] == [1] * len(orders)


def test_a_worker_killed_in_the_middle_of_2000_messages_loses_and_doubles_nothing(probe: Probe) -> None:
    _, before = probe.all_effects()
    orders = [order_of("good") for _ in range(2000)]
    first = probe.worker()

    probe.send(*orders)
    eventually(lambda: probe.all_effects()[1] > before + 200)
    first.kill()
    probe.worker()

    eventually(lambda: probe.all_effects()[1] == before + 2000, within_s=60)
    effects, of_orders = probe.all_effects()
    assert effects == of_orders
    assert probe.scalar("SELECT count(*) FROM dead_letters WHERE subject = %(id)s", id=str(uuid4())) == 0


def test_a_worker_that_is_stopped_finishes_what_it_runs_and_gives_back_the_rest(probe: Probe) -> None:
    _, before = probe.all_effects()
    orders = [order_of("a-little") for _ in range(4)]
    last = probe.worker()

    probe.send(*orders)
    eventually(lambda: probe.scalar("SELECT count(*) FROM pg_locks WHERE relation = 'inbox'::regclass") > 0)
    last.terminate()

    assert last.wait(10)
    eventually(lambda: probe.all_effects()[1] == before + 4, within_s=30)
    effects, of_orders = probe.all_effects()
    assert effects == of_orders
