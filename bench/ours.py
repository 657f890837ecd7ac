"""Orderflow itself, as a system to measure; and whether all is right after a turn."""

import time
from collections.abc import Mapping, Sequence

from bench.generator import Sent
from bench.place import CUSTOMERS, Place
from orderflow_cli.accepted import Ledger
from orderflow_cli.check import examine
from orderflow_cli.errors import CommandError
from orderflow_cli.names import SERVICES

_UNFINISHED = "SELECT count(*) FROM orders WHERE status NOT IN ('completed', 'cancelled')"
_CONFIRMED = """
    SELECT extract(epoch FROM confirmed_at - created_at)::float8 * 1000 FROM orders
    WHERE reference = %s AND confirmed_at IS NOT NULL
"""
_CANCELLED = "SELECT count(*) FROM orders WHERE reference = %s AND status <> 'completed'"
# The clocks that tick for ever are no work that is left.
_LEFT = """
    SELECT count(*) FROM outbox
    WHERE type NOT IN ('orders.sweep_due', 'inventory.snapshot_due', 'customers.snapshot_due')
"""
_LEFT_S, _SETTLE_S = 30.0, 60.0


class Ours:
    """The stack of a place. Its databases are asked over connections that stay open."""

    name = "orderflow"
    apart = frozenset({"simulator"})

    def __init__(self, place: Place) -> None:
        self._place = place
        self._audits = {service: place.audit(service) for service in SERVICES}

    @property
    def ports(self) -> list[int]:
        """Return the port of each process of Orders' API."""
        return self._place.ports_of("orders-api")

    @property
    def skus(self) -> Sequence[str]:
        """Return the products that are ordered."""
        return self._place.skus

    def tokens(self) -> list[str]:
        """Return its customers' tokens."""
        return self._place.tokens()

    def roots(self) -> Mapping[int, str]:
        """Return the kind of each of its processes, by id."""
        return self._place.roots()

    def note(self, run: str, sent: Sent) -> None:
        """Write down what was answered 202: `check` asks Orders for each."""
        with Ledger(self._place.data, run, self._place.deployment.name) as ledger:
            for number, order_id in sent.accepted:
                ledger.write(CUSTOMERS[number % len(CUSTOMERS)], f"{run}-{number}", order_id)

    def unfinished(self) -> int:
        """Return how many orders are neither completed nor cancelled."""
        return self._number("orders", _UNFINISHED)

    def confirmed_ms(self, run: str) -> list[float]:
        """Return the times of a run; CommandError if one of its orders was not completed."""
        cancelled = self._audits["orders"].execute(_CANCELLED, (run,)).fetchone()
        if cancelled and cancelled[0]:
            raise CommandError(f"{run}: {cancelled[0]} orders were not completed")
        return [float(row[0]) for row in self._audits["orders"].execute(_CONFIRMED, (run,))]

    def outbox_rows(self) -> int:
        """Return how many messages wait to leave, the timers of orders included."""
        return sum(self._number(service, _LEFT) for service in SERVICES)

    def check(self) -> dict[str, bool]:
        """Return the invariants, all of them true; CommandError names what is wrong, or what is left to do."""
        until = time.monotonic() + _LEFT_S
        while rows := self.outbox_rows():
            if time.monotonic() > until:
                raise CommandError(f"{rows} messages are left in the outboxes after {_LEFT_S:g} s")
            time.sleep(0.2)
        with self._place.deployment.api() as api:
            report = examine(self._place.deployment, api, settle_s=_SETTLE_S)
        wrong = [f"{each.invariant}: {each.about} {each.wrong}" for each in report.broken + report.settling]
        if wrong or report.left_out:
            raise CommandError(f"after a turn, {len(wrong)} contradictions; {[*wrong, *report.left_out][0]}")
        return report.invariants

    def _number(self, service: str, query: str) -> int:
        row = self._audits[service].execute(query).fetchone()
        return int(row[0]) if row else 0
