"""One look at everything: what each invariant finds, and what is known to be on its way."""

from collections.abc import Sequence
from dataclasses import replace

from orderflow_cli.invariants.reading import Reading, Sources
from orderflow_cli.invariants.rules import Finding, Invariant

# Orders last: what a participant has done, Orders may have heard of meanwhile; never the other way round.
_ORDER = ("payments", "inventory", "customers", "orders")


def survey(sources: Sources, invariants: Sequence[Invariant]) -> list[tuple[Invariant, Finding]]:
    """Read the deployment once; a finding about an order says what that order waits for, if anything."""
    services = [name for name in _ORDER if any(name in each.services for each in invariants)]
    with Reading(sources, services) as reading:
        found = [(invariant, finding) for invariant in invariants for finding in invariant.find(reading)]
        doubtful = {
            finding.order_id
            for invariant, finding in found
            if finding.order_id and not finding.waits_for and not invariant.strict
        }
        known = reading.explain(doubtful)
    return [
        (invariant, replace(finding, waits_for=known[finding.order_id]))
        if finding.order_id in known and not finding.waits_for
        else (invariant, finding)
        for invariant, finding in found
    ]
