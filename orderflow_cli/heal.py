"""`check --heal`: have the services ask again for what got lost. Only what is idempotent for ever is repeated.

Through each service's own HTTP API, which writes down who asked and why. What a person must decide stays as it is: a
dead letter is replayed or discarded, and a bug is mended.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from orderflow_cli.client import Api
from orderflow_cli.invariants.judge import Report
from orderflow_cli.invariants.orders import open_orders_move_on

_AT_ONCE = 1_000


@dataclass(frozen=True)
class Healed:
    """What a service did about an order; with a dry run, what it would do."""

    service: str
    order_id: str
    did: str

    def document(self) -> dict[str, str]:
        """Return it for a program."""
        return asdict(self)


def heal(api: Api, report: Report, *, why: str, dry_run: bool) -> list[Healed]:
    """Have each service do what it safely can for the orders that a check found something about.

    An order of which the check saw a message on its way, or an open dead letter, is not named here and so left alone
    (`invariants/survey.py` looks, for all but strict rules); the services themselves do not look for dead letters.
    Inventory is asked only about orders that are more than slow: a question about an open order only holds its goods
    longer.
    """
    found = [each for each in (*report.broken, *report.settling) if each.order_id]
    everything = {str(each.order_id) for each in found}
    differing = {str(each.order_id) for each in found if each.invariant != open_orders_move_on.name}
    return [
        *_by(api, "inventory", differing, why, dry_run=dry_run),
        *_by(api, "payments", everything, why, dry_run=dry_run),
        *_by(api, "orders", everything, why, dry_run=dry_run),
    ]


def _by(api: Api, service: str, order_ids: set[str], why: str, *, dry_run: bool) -> Iterator[Healed]:
    ids = sorted(order_ids)
    for first in range(0, len(ids), _AT_ONCE):
        wish = {"order_ids": ids[first : first + _AT_ONCE], "reason": why, "dry_run": dry_run}
        for each in api.ask("POST", f"/ops/{service}/healing", wish)["items"]:
            yield Healed(service, each["order_id"], each["did"])
