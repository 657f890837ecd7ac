"""Batches acknowledge many deliveries with one word: never one that is unfinished, and in the end every one."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from celery import bootsteps

from shared_events import batches, bundles
from shared_events.batches import Batches
from shared_events.delivery import Delivery
from shared_events.outbox import BODY_HEAD, BODY_TAIL
from shared_events.runtime import Ending, Verdict

DELIVERIES = 120
OFTEN_RETURNED = 9
ENDINGS = {
    Ending.APPLIED: 20,
    Ending.RETRIED: 1,
    Ending.BURIED: 1,
    Ending.REFUSED: 1,
    Ending.HELD: 1,
    Ending.ALONE: 1,
}
KEPT = {Ending.HELD, Ending.ALONE}
Job = tuple[Sequence[Delivery], Callable[[list[Verdict]], None], Callable[[str], None]]


@dataclass
class Broker:
    """One channel: what is delivered and not acknowledged, and what came back."""

    unacknowledged: dict[int, "Message"] = field(default_factory=dict)
    returned: list[tuple[str, ...]] = field(default_factory=list)
    finished: set[str] = field(default_factory=set)
    tag: int = 0


class Message:
    """A bundle of messages as kombu hands it over, or (of one) a message by itself."""

    content_type = content_encoding = "utf-8"

    def __init__(self, broker: Broker, names: tuple[str, ...], returns: int) -> None:
        broker.tag += 1
        self.broker, self.names, self.delivery_tag = broker, names, broker.tag
        self.headers = {"id": names[0], "task": "t", "x-delivery-count": returns, bundles.COUNT: len(names)}
        self.body = bundles.join([BODY_HEAD + b'{"id":"%s"}' % each.encode() + BODY_TAIL for each in names])
        self.delivery_info: dict[str, Any] = {}
        self.properties: dict[str, Any] = {}
        broker.unacknowledged[self.delivery_tag] = self

    def ack_log_error(self, _log: Any, _errors: Any, multiple: bool = False) -> None:
        """Acknowledge as AMQP says: `multiple` means all up to this tag."""
        waiting = self.broker.unacknowledged
        for tag in (
            [each for each in waiting if each <= self.delivery_tag] if multiple else [self.delivery_tag]
        ):
            finished = self.broker.finished.issuperset(waiting.pop(tag).names)
            assert finished, "an unfinished delivery was acknowledged"

    def reject_log_error(self, _log: Any, _errors: Any, requeue: bool) -> None:
        """Give it back, or have it dead-lettered, which is an end too."""
        del self.broker.unacknowledged[self.delivery_tag]
        assert requeue or self.broker.finished.issuperset(self.names), "an unfinished one was dead-lettered"
        if requeue:
            self.broker.returned.append(self.names)


class Worker:
    """The main process of a worker, its loop and its pool turned by hand."""

    def __init__(self, draw: random.Random) -> None:
        self.draw, self.broker = draw, Broker()
        self.jobs: list[Job] = []
        self.due: list[Callable[[], None]] = []
        self.pauses: list[float] = []
        pool = SimpleNamespace(num_processes=draw.randint(1, 3), apply_async=self._take_job)
        consumer = SimpleNamespace(
            connection=object(),
            blueprint=SimpleNamespace(state=bootsteps.RUN),
            pool=pool,
            connection_errors=(),
            event_dispatcher=None,
            timer=SimpleNamespace(call_after=self._call_later),
            app=SimpleNamespace(main="x"),
        )
        self.batches = Batches(consumer, lambda: None, draw.choice([1, 4, 16]), (1, 2))

    def _call_later(self, delay: float, call: Callable[..., None], arguments: tuple[Any, ...] = ()) -> Any:
        if delay < batches.SLOW_AFTER_S:
            self.due.append(lambda: call(*arguments))
            self.pauses.append(delay)
        return SimpleNamespace(cancel=lambda: None)

    def _take_job(self, _run: Any, arguments: Any, callback: Any, error_callback: Any, **_: Any) -> None:
        self.jobs.append((arguments[0], callback, error_callback))

    def deliver(self, names: tuple[str, ...], returns: int) -> None:
        """Let a message arrive."""
        self.batches.take(Message(self.broker, names, returns))

    def end_a_job(self) -> None:
        """Let any running batch end, one of ten by the death of its process."""
        deliveries, on_verdicts, on_lost = self.jobs.pop(self.draw.randrange(len(self.jobs)))
        if self.draw.random() < 0.1:
            on_lost("killed")
            return
        endings = self.draw.choices(list(ENDINGS), list(ENDINGS.values()), k=len(deliveries))
        ended = zip(deliveries, endings, strict=True)
        self.broker.finished |= {delivery.id for delivery, ending in ended if ending not in KEPT}
        on_verdicts([Verdict(ending) for ending in endings])


@pytest.mark.parametrize("seed", range(60))
def test_only_what_is_finished_is_acknowledged_and_all_of_it(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "HOLD_S", 0)
    draw = random.Random(seed)
    worker, arrived = Worker(draw), 0

    while arrived < DELIVERIES or worker.jobs or worker.due or worker.broker.returned:
        if arrived < DELIVERIES and draw.random() < 0.5:
            count = draw.choice([1, 1, 2, 7])
            names = tuple(f"m{number}" for number in range(arrived, min(DELIVERIES, arrived + count)))
            worker.deliver(names, draw.choice([0, 0, 0, OFTEN_RETURNED]))
            arrived += len(names)
        elif worker.broker.returned and draw.random() < 0.5:
            worker.deliver(worker.broker.returned.pop(0), 1)
        elif worker.due and draw.random() < 0.7:
            worker.due.pop(0)()
        elif worker.jobs:
            worker.end_a_job()

    assert worker.broker.unacknowledged == {}
    assert worker.broker.finished == {f"m{number}" for number in range(DELIVERIES)}


def test_only_after_a_batch_of_many_is_more_waited_for_since_it_was_published_together() -> None:
    worker = Worker(random.Random(1))
    worker.batches = Batches(worker.batches._consumer, lambda: None, 16, (1, 2))

    for names in (("a",), ("b", "c"), ("d",), ("e",)):
        worker.deliver(names, 0)
        worker.due.pop(0)()
        deliveries, on_verdicts, _ = worker.jobs.pop()
        worker.broker.finished |= {delivery.id for delivery in deliveries}
        on_verdicts([Verdict(Ending.APPLIED) for _ in deliveries])

    assert worker.pauses == [0, 0, batches.TOGETHER_S, 0]
