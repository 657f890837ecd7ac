"""What a run of chaos came to: a document for programs, a table for people."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orderflow_cli.chaos.storm import Struck

_SHOWN = 20


@dataclass
class Result:
    """The document. `failures` says in words why the run failed, if it did."""

    seed: int
    run: str
    accepted: int
    completed: int
    cancelled: dict[str, int]
    lost: int
    doubled: int
    stuck: int
    dead_letters: dict[str, int]
    unexplained_dead_letters: int
    absorbed_duplicates: int
    absorbed: dict[str, int]
    faults: list[dict[str, Any]]
    answers_refused: dict[str, int]
    messages: dict[str, int]
    seconds: float
    orders_per_second: float
    left_out: dict[str, str] = field(default_factory=dict)
    invariants: dict[str, bool] = field(default_factory=dict)
    invariants_left_out: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return it for a program."""
        return asdict(self)


def fault_documents(struck: Sequence[Struck]) -> list[dict[str, Any]]:
    """Return each fault with what was measured of it; `at` is in seconds since the load began."""
    return [
        {
            "kind": each.fault.kind,
            "target": each.fault.target,
            "at": each.at,
            "lasts_s": each.fault.lasts_s,
            "amount": each.fault.amount,
            "recovered_after_s": each.recovered_after_s,
            "problem": each.problem,
        }
        for each in struck
    ]


def text(result: Result) -> str:
    """Return the faults, the counts and the invariants for a reader."""
    console = Console(width=100, highlight=False)
    with console.capture() as captured:
        console.print(_faults(result))
        for kind, why in result.left_out.items():
            console.print(f"  [dim]left out[/] {kind}: {why}")
        console.print("", _counts(result))
        for name, holds in result.invariants.items():
            sign = "[green]✓[/]" if holds else "[red]✗[/]"
            console.print(f"  {sign} {name.replace('_', ' ')}")
        for name, why in result.invariants_left_out.items():
            console.print(f"  [dim]-[/] {name.replace('_', ' ')}: {why}")
        for failure in result.failures[:_SHOWN]:
            console.print(f"[bold red]failed:[/] {escape(failure)}")
        if len(result.failures) > _SHOWN:
            console.print(f"and {len(result.failures) - _SHOWN} more (--json shows all)")
        console.print(_last_line(result), soft_wrap=True)
    return captured.get().rstrip()


def _last_line(result: Result) -> str:
    """Return the verdict, how much it stands on, and what it leaves open."""
    words = "[bold green]Nothing lost, nothing doubled, nothing stuck[/]"
    if result.failures:
        words = f"[bold red]{len(result.failures)} failures[/]"
    faults = "one fault" if len(result.faults) == 1 else f"{len(result.faults)} faults"
    said = f"{words}: {result.accepted} orders under {faults}."
    if not result.invariants:
        said += " No invariant was read."
    if result.left_out:
        said += f" Left out: {', '.join(result.left_out)}."
    return said


def _faults(result: Result) -> Table:
    grid = Table.grid(padding=(0, 3))
    grid.add_row("[dim]at", "[dim]fault", "[dim]target", "[dim]lasts", "[dim]all well after")
    for each in result.faults:
        lasts = f"{each['lasts_s']:g} s" if each["lasts_s"] else ""
        after = f"{each['recovered_after_s']:g} s" if each["recovered_after_s"] is not None else "[red]never"
        grid.add_row(f"{each['at']:.1f} s", each["kind"], each["target"], lasts, after)
    return grid


def _counts(result: Result) -> Table:
    grid = Table.grid(padding=(0, 3))
    pace = f"{result.orders_per_second:g} a second"
    grid.add_row("orders accepted", str(result.accepted), pace)
    grid.add_row("completed", str(result.completed))
    for reason, count in result.cancelled.items():
        grid.add_row(f"cancelled, {reason.replace('_', ' ')}", str(count))
    grid.add_row("lost, doubled, stuck", f"{result.lost}, {result.doubled}, {result.stuck}")
    for cause, count in result.dead_letters.items():
        grid.add_row(f"dead letters, {cause}", str(count))
    grid.add_row("dead letters unexplained", str(result.unexplained_dead_letters))
    absorbed = ", ".join(f"{count} {what}" for what, count in result.absorbed.items())
    grid.add_row("duplicates absorbed", str(result.absorbed_duplicates), absorbed)
    holding = sum(result.invariants.values())
    grid.add_row(
        "invariants", f"{holding} of {len(result.invariants)} hold" if result.invariants else "none was read"
    )
    return grid
