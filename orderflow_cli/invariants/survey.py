"""One look at everything: what each invariant finds, and what is known to be on its way."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from orderflow_cli.invariants.reading import Reading, Sources
from orderflow_cli.invariants.rules import Finding, Invariant
from orderflow_cli.invariants.views import DEAD, TIMER, Ahead

# Orders last: what a participant has done, Orders may have heard of meanwhile; never the other way round.
_ORDER = ("payments", "inventory", "customers", "orders")


def survey(sources: Sources, invariants: Sequence[Invariant]) -> list[tuple[Invariant, Finding]]:
    """Read the deployment once; a finding about an order says what that order waits for, if anything."""
    services = [name for name in _ORDER if any(name in each.services for each in invariants)]
    with Reading(sources, services) as reading:
        found = [(invariant, finding) for invariant in invariants for finding in invariant.find(reading)]
        loose = {finding.order_id for each, finding in found if finding.order_id and not each.strict}
        known = reading.explain(loose)
    return [(each, _explained(finding, known)) for each, finding in found]


def _explained(finding: Finding, known: Mapping[UUID, Ahead]) -> Finding:
    """Say what the order waits for besides: above all a dead letter, which only a person will send on."""
    ahead = known.get(finding.order_id) if finding.order_id else None
    if ahead is None:
        return finding
    is_dead = ahead.place == DEAD
    waits_for = finding.waits_for
    if not waits_for or is_dead:
        waits_for = f"{waits_for}; {ahead.words}" if waits_for else ahead.words
    return replace(finding, waits_for=waits_for, is_on_its_way=ahead.place < TIMER)
