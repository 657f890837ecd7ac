"""Looks at the demo's orders all the time, from outside: where they are, and whether one is lost."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from orderflow_cli.accepted import Ledger
from orderflow_cli.client import Api
from orderflow_cli.errors import CommandError

FINAL = frozenset({"completed", "cancelled"})
_EVERY_S = 0.5
_PAGE = 200


@dataclass(frozen=True)
class Sight:
    """What was seen at one moment: how many were accepted, their states, and those that nobody knows of."""

    accepted: int = 0
    states: Counter[str] = field(default_factory=Counter)
    lost: int = 0

    @property
    def undecided(self) -> int:
        """How many orders wait for their stock or their payment."""
        return self.states["pending"] + self.states["reserved"]

    @property
    def open(self) -> int:
        """How many orders are not final yet."""
        return self.accepted - sum(self.states[state] for state in FINAL)


class Watch:
    """Polls in a thread of its own, and tells each sight to `tell`."""

    def __init__(self, api: Api, run: str, ledger: Ledger, tell: Callable[[Sight], None]) -> None:
        self._api, self._run, self._ledger, self._tell = api, run, ledger, tell
        self._stop = threading.Event()
        self._seen = threading.Condition()
        self.sight = Sight()
        self.orders: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._poll, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def look(self) -> Sight:
        """Look now. What was accepted before we ask must be in the answer, or it is lost."""
        accepted = self._ledger.ids
        orders = self._api.items("/v1/orders", reference=self._run, limit=_PAGE)
        known = {order["id"]: order["status"] for order in orders}
        states = Counter(known[order_id] for order_id in accepted if order_id in known)
        with self._seen:
            self.orders = orders
            self.sight = Sight(len(accepted), states, len(accepted - known.keys()))
            self._seen.notify_all()
        return self.sight

    def wait_until(self, is_so: Callable[[Sight], bool], seconds: float) -> bool:
        """Wait until something is seen; False if it is not in time."""
        until = time.monotonic() + seconds
        with self._seen:
            while not is_so(self.sight):
                if not self._seen.wait(until - time.monotonic()):
                    return False
        return True

    def _poll(self) -> None:
        while not self._stop.is_set():
            with suppress(CommandError):  # an API that is away for a moment: the next look tells
                self._tell(self.look())
            self._stop.wait(_EVERY_S)
