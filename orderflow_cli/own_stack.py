"""A stack for the time of one command: the one that runs, or one of our own that ends with the command."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def running_stack(data: Path, say: Callable[[str], None]) -> Iterator[bool]:
    """Have a stack in `data`; yields whether it is our own. Our own is ended, whatever happens."""
    from local_stack import client

    if client.running(data):
        yield False
        return
    before = {number: signal.signal(number, _interrupt) for number in _SIGNALS}
    child = client.start(data, client.StartOptions(_port(data), {}, None, seeded=False, attached=True))
    try:
        client.watch_start(data, child, say)
        yield True
    finally:
        for number in (signal.SIGINT, *_SIGNALS):
            signal.signal(number, signal.SIG_IGN)  # ending takes a moment, and must not be cut short
        say("ending the stack")
        client.down(data)
        for number, handler in {signal.SIGINT: signal.default_int_handler, **before}.items():
            signal.signal(number, handler)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _port(data: Path) -> int | None:
    """Return None for the stack's usual port, or 0 for any if somebody else has it."""
    from local_stack import ports, state

    return None if ports.is_free(state.load(data).port) else 0
