"""Connections and a group commit for the busiest request: the one that takes in orders."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError

from shared_events.database import drop
from shared_events.work import UnitOfWork
from shared_events.writes import Writes, joined

W = TypeVar("W", bound=UnitOfWork)


class Spare:
    """Connections that stay ready between uses, each statement a transaction of its own.

    To take one from the engine's pool and to give it back costs as much as a statement. They are as many as were in
    use at once, so the engine is to be theirs alone. One on which anything failed is given up, and if the server is
    gone, all of them.
    """

    def __init__(self, source: Engine) -> None:
        self._engine = source
        self._idle: deque[Connection] = deque()
        self._group = _GroupCommit()

    @contextmanager
    def one_statement(self, work: Callable[[Connection], W]) -> Iterator[W]:
        """Give a unit of work that reads outside a transaction; on leaving, all that it wrote is one statement.

        One statement is a transaction, so neither BEGIN nor COMMIT is sent. For work that takes no locks. What other
        threads write at the same time is part of the same statement, unless that fails.
        """
        connection = self._take()
        try:
            unit = work(connection)
            yield unit
            self._group.send(unit.completed(), connection)
        except BaseException:
            self._give_up(connection)
            raise
        self._idle.append(connection)

    def _take(self) -> Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def _give_up(self, connection: Connection) -> None:
        if connection.invalidated:
            with suppress(IndexError):
                while True:
                    drop(self._idle.pop())  # as old, and as dead
        connection.close()


class _Wanted:
    """What one thread wants written, and what came of it; `turn` is released when it is done, or is to be led."""

    def __init__(self, writes: Writes) -> None:
        self.writes = writes
        self.is_done = False
        self.error: BaseException | None = None
        self.turn = threading.Lock()
        self.turn.acquire()


_GATHERING_S = 0.001


class _GroupCommit:
    """While one thread's writes are sent, those of others gather, and leave as one statement: one commit for all.

    While they come several at a time, each group waits a moment for more.
    """

    def __init__(self) -> None:
        self._waiting: list[_Wanted] = []
        self._lock = threading.Lock()
        self._somebody_leads = False
        self._last_size = 0

    def send(self, writes: Writes, connection: Connection) -> None:
        """Write these, by this connection or another thread's. Raises what they lead to."""
        mine = _Wanted(writes)
        with self._lock:
            self._waiting.append(mine)
            leads, self._somebody_leads = not self._somebody_leads, True
        if not leads:
            mine.turn.acquire()
        if not mine.is_done:
            self._lead(connection)
        if mine.error is not None:
            raise mine.error

    def _lead(self, connection: Connection) -> None:
        """Send all that wait, tell their threads, and let one of those that came meanwhile lead."""
        if self._last_size > 1:
            time.sleep(_GATHERING_S)
        with self._lock:
            group, self._waiting = self._waiting, []
        self._last_size = len(group)
        _send(group, connection)
        with self._lock:
            following = self._waiting[:1]
            self._somebody_leads = bool(following)
        for each in group + following:
            each.turn.release()


_NOBODY_S_FAULT = (OperationalError, InterfaceError)
"""Locks that are not to be had, time-outs, a server that is gone: to try one by one would only wait as many times."""


def _send(group: list[_Wanted], connection: Connection) -> None:
    """Send these as one statement; if what is in it is refused, each by itself."""
    error = _try(joined(each.writes for each in group), connection)
    for each in group:
        if error is not None and len(group) > 1 and not isinstance(error, _NOBODY_S_FAULT):
            each.error = _try(each.writes, connection)
        else:
            each.error = error
        each.is_done = True


def _try(writes: Writes, connection: Connection) -> BaseException | None:
    try:
        writes.send(connection)
    except BaseException as error:  # whatever it is, it must not be lost with the thread that others wait for
        return error
    return None
