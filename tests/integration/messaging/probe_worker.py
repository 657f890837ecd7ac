"""A worker on Inventory's queue whose one handler does what the order's SKU says: the subject of these tests.

Run as `celery -A probe_worker worker`; PROBE_MARKS is a directory in which a handler may leave marks.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import ClassVar
from uuid import UUID

from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection

from shared_events.contract import Message
from shared_events.contracts.inventory import HoldElapsed, KeepReservation, ReleaseStock, ReserveStock
from shared_events.handlers import Cancel, Handlers, Later, Output
from shared_events.work import UnitOfWork
from shared_events.worker import service_worker

HANDLERS = Handlers("inventory")


class ProbeWork(UnitOfWork):
    """Every effect is one row of `probe.effects`; nothing forbids a second one, so that it would be seen."""

    service: ClassVar[str] = "inventory"

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.effects: list[tuple[UUID, str]] = []

    def lock(self, messages: Sequence[Message]) -> None:
        """Lock nothing: every message is about an order of its own."""

    def flush(self) -> None:
        """Write the effects."""
        columns = {"ids": [order for order, _ in self.effects], "names": [name for _, name in self.effects]}
        self.connection.exec_driver_sql(
            "INSERT INTO probe.effects SELECT * FROM unnest(%(ids)s::uuid[], %(names)s::text[])", columns
        )


@HANDLERS.on(ReserveStock)
def reserve_stock(command: ReserveStock, work: ProbeWork) -> Iterable[Output]:
    """Do what the SKU says, and note the effect."""
    name = command.lines[0].sku
    _BEHAVIOURS.get(name, _nothing)(command.order_id)
    if name == "cut":
        work.connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")
    work.effects.append((command.order_id, name))
    if name == "timer":
        return [Later(HoldElapsed(order_id=command.order_id), 0.5, str(command.order_id))]
    return []


@HANDLERS.on(KeepReservation)
def keep_reservation(command: KeepReservation, work: ProbeWork) -> Iterable[Output]:
    """Start a timer of so many seconds."""
    return [Later(HoldElapsed(order_id=command.order_id), command.hold_s, str(command.order_id))]


@HANDLERS.on(ReleaseStock)
def release_stock(command: ReleaseStock, work: ProbeWork) -> Output:
    """Cancel the order's timer."""
    work.effects.append((command.order_id, "cancelled"))
    return Cancel(str(command.order_id))


@HANDLERS.on(HoldElapsed)
def hold_elapsed(timer: HoldElapsed, work: ProbeWork) -> None:
    """Note that the timer fired."""
    work.effects.append((timer.order_id, "fired"))


def _nothing(_order_id: UUID) -> None:
    pass


def _raise(_order_id: UUID) -> None:
    raise RuntimeError("the handler is broken")


def _raise_once(order_id: UUID) -> None:
    mark = Path(os.environ["PROBE_MARKS"]) / str(order_id)
    if not mark.exists():
        mark.touch()
        raise RuntimeError("only this once")


def _until_mended(_order_id: UUID) -> None:
    if not (Path(os.environ["PROBE_MARKS"]) / "mended").exists():
        raise RuntimeError("not mended yet")


def _slow(_order_id: UUID) -> None:
    time.sleep(60)


def _stuck(_order_id: UUID) -> None:
    while True:
        try:
            time.sleep(60)
        except SoftTimeLimitExceeded:
            continue


def _exit(_order_id: UUID) -> None:
    os._exit(3)


def _killed(_order_id: UUID) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _killed_once(order_id: UUID) -> None:
    mark = Path(os.environ["PROBE_MARKS"]) / str(order_id)
    if not mark.exists():
        mark.touch()
        _killed(order_id)


def _takes_a_while(_order_id: UUID) -> None:
    time.sleep(0.8)


def _takes_a_little(_order_id: UUID) -> None:
    time.sleep(0.2)


_BEHAVIOURS: dict[str, Callable[[UUID], None]] = {
    "raise": _raise,
    "raise-once": _raise_once,
    "until-mended": _until_mended,
    "slow": _slow,
    "stuck": _stuck,
    "exit": _exit,
    "killed": _killed,
    "killed-once": _killed_once,
    "a-little": _takes_a_little,
    "a-while": _takes_a_while,
}

app = service_worker(HANDLERS, ProbeWork)
