"""What the demo shows while it runs: a live view on a terminal, plain lines elsewhere; then its table."""

import sys
import threading
import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from orderflow_cli.demo_result import Result
from orderflow_cli.demo_watch import Sight

_STATES = {"pending": "yellow", "reserved": "yellow", "confirmed": "cyan", "completed": "green",
           "cancelling": "yellow", "cancelled": "magenta"}  # fmt: skip
_BAR = 50
_LINE_EVERY_S = 2.0


class View:
    """Takes news from several threads. With `to_stderr`, standard output is left to the document."""

    def __init__(self, wanted: int, *, to_stderr: bool) -> None:
        self._console = Console(file=sys.stderr if to_stderr else sys.stdout, highlight=False)
        self._lock = threading.Lock()
        self._wanted = wanted
        self._began = time.monotonic()
        self._said_at = 0.0
        self._trouble, self._before = "", 0
        self._sight = Sight()
        self._live = Live(console=self._console, refresh_per_second=8) if self._console.is_terminal else None

    def __enter__(self) -> "View":
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str) -> None:
        """Tell what was done."""
        self._console.print(f"[dim]{time.monotonic() - self._began:5.1f} s[/]  {line}", soft_wrap=True)

    def trouble(self, what: str) -> None:
        """Say from now on what is broken; nothing, once it is whole again."""
        self._trouble, self._before = what, self._sight.accepted
        self.see(self._sight, at_once=True)

    def see(self, sight: Sight, *, at_once: bool = False) -> None:
        """Show where the orders are."""
        with self._lock:
            self._sight = sight
            if self._live:
                self._live.update(self._picture())
            elif at_once or time.monotonic() - self._said_at > _LINE_EVERY_S:
                self._said_at = time.monotonic()
                self.say(self._line())

    def _line(self) -> str:
        """Return, for instance, `inventory down · 41 accepted · 0 lost`: how many were accepted meanwhile."""
        sight = self._sight
        parts = [self._trouble] if self._trouble else []
        parts += [f"{sight.accepted - (self._before if self._trouble else 0)} accepted", f"{sight.lost} lost"]
        parts += [f"{sight.states[state]} {state}" for state in _STATES if sight.states[state]]
        return " · ".join(parts)

    def _picture(self) -> Group:
        sight = self._sight
        bars = Table.grid(padding=(0, 2))
        for state, colour in _STATES.items():
            count = sight.states[state]
            bar = "█" * max(round(_BAR * count / max(self._wanted, 1)), 1 if count else 0)
            bars.add_row(state, Text(f"{count:>5}"), Text(bar, style=colour))
        headline = Text(self._line(), style="bold red" if self._trouble or sight.lost else "bold")
        return Group("", headline, bars)


def table(result: Result) -> str:
    """Return the outcomes, the latencies and the invariants for a reader."""
    console = Console(width=96, highlight=False)
    grid = Table.grid(padding=(0, 3))
    grid.add_row("orders accepted", str(result.orders), f"{result.lost} lost")
    grid.add_row("completed", str(result.completed))
    for reason, count in result.cancelled.items():
        grid.add_row(f"cancelled, {reason.replace('_', ' ')}", str(count))
    grid.add_row("duplicates refused", str(result.duplicates_refused))
    for words, times in (
        ("202 to confirmed", result.confirmed_ms),
        ("… before the first fault", result.confirmed_undisturbed_ms),
    ):
        if times["p50"] is not None:
            grid.add_row(words, f"{times['p50']:,} ms", f"p99 {times['p99']:,} ms")
    holding = sum(result.invariants.values())
    grid.add_row("invariants", f"{holding} of {len(result.invariants)} hold")
    with console.capture() as captured:
        console.print(grid)
        for name, holds in result.invariants.items():
            console.print(
                f"  [{'green' if holds else 'red'}]{'✓' if holds else '✗'}[/] {name.replace('_', ' ')}"
            )
        for name, why in result.left_out.items():
            console.print(f"  [dim]-[/] {name.replace('_', ' ')}: {why}")
        for failure in result.failures:
            console.print(f"[bold red]failed:[/] {failure}")
        if not result.failures:
            console.print(f"[bold green]Nothing lost, nothing doubled[/], in {result.seconds:.0f} s.")
    return captured.get().rstrip()
