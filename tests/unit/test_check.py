"""`check --heal` waits as `check` does: nothing to heal is no reason not to."""

from typing import Any

import pytest
from click.testing import CliRunner

from orderflow_cli import check
from orderflow_cli.heal import Healed
from orderflow_cli.invariants.judge import Contradiction, Report

SETTLING = Report({"x": True}, settling=[Contradiction("x", "a", "is slow", "a message")])
DONE = Healed("orders", "a", "asked again")


def run(monkeypatch: pytest.MonkeyPatch, healed: list[Healed], *options: str) -> tuple[int, list[float]]:
    """Run the command where all settles if it is waited for; return its status and the waits."""
    waited: list[float] = []

    def examine(*_: Any, settle_s: float, **__: Any) -> Report:
        waited.append(settle_s)
        return Report({"x": True}) if settle_s else SETTLING

    monkeypatch.setenv("ORDERFLOW_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ORDERFLOW_TOKEN", "somebody's")
    monkeypatch.setattr(check, "examine", examine)
    monkeypatch.setattr(check, "heal", lambda *_, **__: healed)
    return CliRunner().invoke(check.command, ["--at-rest", *options]).exit_code, waited


@pytest.mark.parametrize(
    ("healed", "options", "status", "waits"),
    [
        ([], ("--settle", "30"), 0, [30.0]),
        ([], ("--settle", "30", "--heal"), 0, [0.0, 30.0]),
        ([], ("--settle", "30", "--heal", "--dry-run"), 0, [0.0, 30.0]),
        ([], ("--heal",), 1, [0.0]),
        ([DONE], ("--heal",), 1, [0.0, 0.0]),
        ([DONE], ("--heal", "--dry-run"), 1, [0.0]),
        ([DONE], ("--settle", "30", "--heal"), 0, [0.0, 30.0]),
    ],
)
def test_settle_is_waited_for_whether_something_was_healed_or_not(
    monkeypatch: pytest.MonkeyPatch,
    healed: list[Healed],
    options: tuple[str, ...],
    status: int,
    waits: list[float],
) -> None:
    assert run(monkeypatch, healed, *options) == (status, waits)
