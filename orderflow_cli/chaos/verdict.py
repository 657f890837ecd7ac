"""From the evidence of a run to its document, with what is wrong in words."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from orderflow_cli.chaos.count import Letters, Orders
from orderflow_cli.chaos.poison import DOSES
from orderflow_cli.chaos.report import Result, fault_documents
from orderflow_cli.chaos.scene import Scene
from orderflow_cli.chaos.storm import Struck
from orderflow_cli.demo_shop import Receipt
from orderflow_cli.invariants.judge import Report


@dataclass(frozen=True)
class Evidence:
    """All that was found after a run; `heard` are the answers that were no success, by status.

    `unanswered` is how many requests were neither accepted nor refused.
    """

    orders: Orders
    letters: Letters
    struck: Sequence[Struck]
    receipts: Sequence[Receipt]
    refused: Sequence[str]
    unanswered: int
    heard: Mapping[str, int]
    report: Report
    absorbed: int
    scene: Scene | None


def result(run: str, seed: int, lasted_s: float, its: Evidence) -> Result:
    """Return the document."""
    accepted = len({receipt.order_id for receipt in its.receipts})
    absorbed = {"messages": its.absorbed, "requests": sum(receipt.replayed for receipt in its.receipts)}
    scene = its.scene
    return Result(
        seed=seed,
        run=run,
        accepted=accepted,
        completed=its.orders.completed,
        cancelled=its.orders.cancelled,
        lost=len(its.orders.lost),
        doubled=len(its.orders.doubled),
        stuck=len(its.orders.stuck),
        dead_letters=its.letters.causes,
        unexplained_dead_letters=len(its.letters.unexplained),
        absorbed_duplicates=sum(absorbed.values()),
        absorbed=absorbed,
        faults=fault_documents(its.struck),
        answers_refused=dict(sorted(its.heard.items())),
        messages={
            "copied": scene.copies if scene else 0,
            "overtaken": scene.overtaken if scene else 0,
            "poison": len(scene.poison_taken) if scene else 0,
        },
        seconds=round(lasted_s, 1),
        orders_per_second=round(accepted / lasted_s, 1),
        invariants=its.report.invariants,
        invariants_left_out=its.report.left_out,
        failures=list(failures(its)),
    )


def failures(its: Evidence) -> Iterator[str]:
    """Say in words what must not be."""
    named = {
        "lost": its.orders.lost,
        "doubled": its.orders.doubled,
        "stuck": its.orders.stuck,
        "ended wrongly": its.orders.wrong,
        "not accepted": its.refused,
        "dead letter nobody can explain": its.letters.unexplained,
    }
    for what, found in named.items():
        yield from (f"{what}: {each}" for each in found)
    yield from _too_little(its)
    if its.scene is not None:
        yield from _unlike_poison(its.scene.poison_taken, its.letters.marks)
    for each in its.struck:
        if each.recovered_after_s is None:
            yield f"{each.fault.kind} of {each.fault.target}: {each.problem or 'it ended unexpectedly'}"
    for each_broken in its.report.broken:
        yield f"{each_broken.invariant}: {each_broken.about} {each_broken.wrong}"
    for each_open in its.report.settling:
        yield f"not at rest: {each_open.invariant}: {each_open.about} {each_open.wrong}"


def _too_little(its: Evidence) -> Iterator[str]:
    """Say what was not tried: a run in which nothing could go wrong shows nothing."""
    if its.unanswered:
        yield f"requests neither accepted nor refused: {its.unanswered}, their sender ended early"
    if not its.orders.completed:
        yield "no order was completed"
    if its.scene is None:
        return
    if not its.report.invariants:
        yield "no invariant was read"
    kinds = {each.fault.kind for each in its.struck}
    for kind, moved in (("duplicate-all", its.scene.copies), ("reorder", its.scene.overtaken)):
        if kind in kinds and not moved:
            yield f"{kind} moved no message"


def _unlike_poison(taken: Mapping[str, str], marks: Mapping[str, Set[str]]) -> Iterator[str]:
    """Say which poison did not die, or not of what it should; `taken` is its name by its mark."""
    for mark, name in taken.items():
        causes = marks.get(mark, set())
        if not causes:
            yield f"poison that is no dead letter: {name}"
        elif causes != {DOSES[name].cause}:
            yield f"poison, {name}, died of {', '.join(sorted(causes))} and not of {DOSES[name].cause}"
