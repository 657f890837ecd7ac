"""What passes through the fault proxy, and the harm that can come to it: routes, their connections, both ends."""

import asyncio
import socket
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, cast

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset, not with a goodbye
_FULL = 1 << 20


class Harm(Enum):
    """What may be done to a route."""

    HEAL = "heal"
    """Let everything pass again; what was held goes on, in its order."""
    CUT = "cut"
    """Reset all its connections, once; new ones are fine."""
    LATENCY = "latency"
    """Let every piece of data arrive `delay_s` later."""
    BLACK_HOLE = "black-hole"
    """Let nothing through either way, not even an end; connections stay open, new ones are taken and say nothing."""
    HALF_OPEN = "half-open"
    """The server sees its connections reset, the client sees nothing: its side stays open and silent."""


@dataclass(eq=False)
class Route:
    """The way of one service to one server."""

    name: str
    target: tuple[str, int]
    harm: Harm = Harm.HEAL
    delay_s: float = 0.0
    links: "set[Link]" = field(default_factory=set)

    def suffer(self, harm: Harm, delay_s: float = 0.0) -> int:
        """Begin (or, with HEAL, end) a harm; return how many connections it found."""
        found = list(self.links)
        if harm in {Harm.LATENCY, Harm.BLACK_HOLE, Harm.HEAL}:
            self.harm, self.delay_s = harm, delay_s if harm is Harm.LATENCY else 0.0
        for link in found:
            link.suffer(harm)
        return len(found)


class Link:
    """A client's connection and ours to the server on its behalf."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.near, self.far = End(self), End(self)
        self.is_orphan = False
        route.links.add(self)

    async def open(self) -> None:
        """Reach the server once the route lets us."""
        self.near.pause()
        if self.route.harm is Harm.BLACK_HOLE:
            return  # healing opens it
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.far, *self.route.target)
        except OSError:
            self.abort()
            return
        if self.near.is_gone:
            self.abort()
        else:
            self.near.resume()

    def suffer(self, harm: Harm) -> None:
        """Take a harm of the route."""
        if harm is Harm.CUT or (harm is Harm.HEAL and self.is_orphan):
            self.abort()
        elif harm is Harm.BLACK_HOLE:
            self.near.pause()
            self.far.pause()
        elif harm is Harm.HALF_OPEN:
            self.is_orphan = True
            self.near.pause()
            self.far.abort()
        elif harm is Harm.HEAL:
            self._heal()

    def _heal(self) -> None:
        if self.far.transport is None:
            keep(self.open())
            return
        for end in (self.near, self.far):
            end.flush()
            end.resume()

    def other(self, end: "End") -> "End":
        """Return the opposite end."""
        return self.far if end is self.near else self.near

    def ended(self, end: "End") -> None:
        """Pass the end of one side on to the other, after what is still on its way there."""
        if self.is_orphan and end is self.far:
            return  # the point of a half-open connection
        self.other(end).finish()
        if self.near.is_gone and self.far.is_gone:
            self.route.links.discard(self)

    def abort(self) -> None:
        """Reset both sides."""
        self.is_orphan = False
        self.near.abort()
        self.far.abort()
        self.route.links.discard(self)


class End(asyncio.Protocol):
    """One side of a link; `line` holds what is to be written to it later, with the moment; None is the end."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.transport: asyncio.Transport | None = None
        self.is_gone = False
        self._line: deque[tuple[float, bytes | None]] = deque()
        self._held = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the connection; the client's asks for one to the server."""
        self.transport = cast("asyncio.Transport", transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self is self._link.near:
            keep(self._link.open())

    def data_received(self, data: bytes) -> None:
        """Hand data to the other side."""
        self._link.other(self).take(data)

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell the other side."""
        self.is_gone = True
        self._link.ended(self)

    def pause_writing(self) -> None:
        """Let the other side wait: this one reads slowly."""
        self._link.other(self).pause()

    def resume_writing(self) -> None:
        """Let the other side go on: this one has caught up."""
        if self._link.route.harm is not Harm.BLACK_HOLE:
            self._link.other(self).resume()

    def take(self, data: bytes | None) -> None:
        """Write this now, or when its time has come."""
        delay_s = self._link.route.delay_s
        if not delay_s and not self._line:
            self._write(data)
            return
        self._line.append((asyncio.get_running_loop().time() + delay_s, data))
        self._held += len(data or b"")
        if self._held > _FULL:
            self._link.other(self).pause()
        if self._timer is None:
            self._wait()

    def flush(self) -> None:
        """Write what waits, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._line:
            self._write(self._line.popleft()[1])
        self._held = 0

    def finish(self) -> None:
        """Close after what waits."""
        self.take(None)

    def pause(self) -> None:
        """Read no more from this side; what it sends stays with the kernel, its end too."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def abort(self) -> None:
        """Reset the connection."""
        if self.transport is not None and not self.is_gone:
            with suppress(OSError):
                linger = (socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self.transport.get_extra_info("socket").setsockopt(*linger)
            self.transport.abort()

    def _write(self, data: bytes | None) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if data is None:
            self.transport.close()
        else:
            self.transport.write(data)

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_at(self._line[0][0], self._due)

    def _due(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._line and self._line[0][0] <= now:
            data = self._line.popleft()[1]
            self._held -= len(data or b"")
            self._write(data)
        if self._held < _FULL and self._link.route.harm is not Harm.BLACK_HOLE:
            self._link.other(self).resume()
        if self._line:
            self._wait()


_tasks: set[asyncio.Task[None]] = set()


def keep(work: Any) -> None:
    """Run a coroutine beside us; the loop alone would forget it."""
    task = asyncio.get_running_loop().create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
