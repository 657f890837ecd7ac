"""A stack for the time of one command: the one that runs, or one of our own that ends with the command."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def running_stack(data: Path, say: Callable[[str], None], *, faulty: bool = False) -> Iterator[None]:
    """Have a stack in `data`: the one that runs, or one of our own, which is ended whatever happens.

    One of our own has the fault proxy if it is to be `faulty`.
    A signal to end is an exception meanwhile, so that what was stopped is started again, or all is ended.
    """
    from local_stack import client

    before = {number: signal.signal(number, _interrupt) for number in _SIGNALS}
    try:
        if client.running(data):
            yield
        else:
            with _own(data, say, faulty=faulty):
                yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _own(data: Path, say: Callable[[str], None], *, faulty: bool) -> Iterator[None]:
    from local_stack import client

    options = client.StartOptions(_port(data), {}, None, seeded=False, attached=True, faulty=faulty)
    child = client.start(data, options)
    try:
        client.watch_start(data, child, say)
        yield
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # ending takes a moment, and must not be cut short
        say("ending the stack")
        client.down(data)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _port(data: Path) -> int | None:
    """Return None for the stack's usual port, or 0 for any if somebody else has it."""
    from local_stack import ports, state

    return None if ports.is_free(state.load(data).port) else 0
