"""From the evidence of a run to its document, with what is wrong in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orderflow_cli.chaos.count import Letters, Orders
from orderflow_cli.chaos.report import Result, fault_documents
from orderflow_cli.chaos.scene import Scene
from orderflow_cli.chaos.storm import Struck
from orderflow_cli.demo_shop import Receipt
from orderflow_cli.invariants.judge import Report


@dataclass(frozen=True)
class Evidence:
    """All that was found after a run; `heard` are the answers that were no success, by status."""

    orders: Orders
    letters: Letters
    struck: Sequence[Struck]
    receipts: Sequence[Receipt]
    refused: Sequence[str]
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
    if its.scene is not None:
        vanished = its.scene.poison_taken.keys() - its.letters.marks
        yield from (f"poison that is no dead letter: {its.scene.poison_taken[mark]}" for mark in vanished)
    for each in its.struck:
        if each.recovered_after_s is None:
            yield f"{each.fault.kind} of {each.fault.target}: {each.problem}"
    for each_broken in its.report.broken:
        yield f"{each_broken.invariant}: {each_broken.about} {each_broken.wrong}"
    for each_open in its.report.settling:
        yield f"not at rest: {each_open.invariant}: {each_open.about} {each_open.wrong}"
