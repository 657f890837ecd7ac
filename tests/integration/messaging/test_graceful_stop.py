"""A worker that is told to stop finishes what it has begun, and gives back at once what it has not."""

import os
import signal
from pathlib import Path
from uuid import UUID

from probe import Probe, eventually, order_of

INBOX_IS_IN_USE = "SELECT count(*) FROM pg_locks WHERE relation = 'inbox'::regclass"


def test_a_stop_repeats_nothing_that_was_begun_and_keeps_nothing_that_was_not(idle_probe: Probe) -> None:
    worker = idle_probe.worker(concurrency=1)
    begun, held = order_of("a-while"), [order_of("good") for _ in range(20)]

    (first,) = idle_probe.send(begun)
    eventually(lambda: idle_probe.scalar(INBOX_IS_IN_USE) > 0)
    rest = idle_probe.send(*held)
    eventually(lambda: idle_probe.depth("inventory") == 0)
    worker.terminate()

    assert worker.wait(30)
    assert worker.exit_code == 0
    assert idle_probe.effects(begun) == 1
    returned = idle_probe.received("inventory")
    done = {message.id for message, order in zip(rest, held, strict=True) if idle_probe.effects(order)}
    assert first.id not in returned
    assert sorted(returned) == sorted({message.id for message in rest} - done)
    assert returned, "nothing was given back, so nothing was shown"


def test_a_stop_under_load_handles_or_returns_every_message_and_none_both(idle_probe: Probe) -> None:
    _, before = idle_probe.all_effects()
    worker = idle_probe.worker(concurrency=2)
    sent = idle_probe.send(*(order_of("good") for _ in range(3000)))

    eventually(lambda: idle_probe.all_effects()[1] > before + 300)
    worker.terminate()

    assert worker.wait(30)
    returned = idle_probe.received("inventory")
    handled: set[UUID] = set(idle_probe.scalar("SELECT array_agg(message_id) FROM inbox"))
    assert len(returned) == len(set(returned))
    assert set(returned) | handled >= {message.id for message in sent}
    assert set(returned) & handled == set()


def test_what_a_pool_process_was_handed_is_done_although_it_had_not_said_that_it_took_it(
    idle_probe: Probe,
) -> None:
    worker = idle_probe.worker(concurrency=1)
    (pool_process,) = idle_probe.pool_processes()
    handed = order_of("good")

    os.kill(pool_process, signal.SIGSTOP)
    idle_probe.send(handed)
    eventually(lambda: idle_probe.depth("inventory") == 0)
    assert worker.pid
    threads = Path(f"/proc/{worker.pid}/task")
    eventually(lambda: len(list(threads.iterdir())) == 1)
    os.kill(worker.pid, signal.SIGTERM)
    eventually(lambda: len(list(threads.iterdir())) > 1)  # one of them while it waits for its pool to end
    os.kill(pool_process, signal.SIGCONT)

    assert worker.wait(10)
    assert idle_probe.effects(handed) == 1
    assert idle_probe.received("inventory") == []
