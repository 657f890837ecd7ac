"""`orderflow check`: check the invariants over stock, money, messages and orders, while the system runs."""

import json
from dataclasses import replace
from pathlib import Path

import click

from orderflow_cli.client import Api, Deployment, deployment
from orderflow_cli.errors import CommandError
from orderflow_cli.heal import Healed, heal
from orderflow_cli.invariants.judge import Contradiction, Patience, Report, judge
from orderflow_cli.invariants.rules import GROUPS
from orderflow_cli.options import data_option, json_option

_SHOWN = 20
_LONGEST_WINDOW_S = 10.0


@click.command()
@click.option("--only", type=click.Choice(GROUPS), help="Only the invariants of this group.")
@click.option(
    "--settle", "settle_s", type=click.FloatRange(0), default=0.0, metavar="S",
    help="Wait up to S seconds until nothing is settling.",
)  # fmt: skip
@click.option("--at-rest", is_flag=True, help="Demand that nothing is settling either.")
@click.option(
    "--heal", "heals", is_flag=True, help="Have what got lost asked for again, and check once more."
)
@click.option("--reason", "why", default="check --heal", help="With --heal: why, for the record.")
@click.option("--dry-run", is_flag=True, help="With --heal: only say what would be done.")
@json_option
@data_option
def command(
    only: str | None,
    settle_s: float,
    at_rest: bool,
    heals: bool,
    why: str,
    dry_run: bool,
    as_json: bool,
    data: Path,
) -> None:
    """Check the invariants; the status is 1 if one is broken.

    What differs between two services is broken only if it is still there ten seconds later with nothing on its
    way that will resolve it. Until then it is settling, and the report says what it waits for.

    `--heal` has the services repeat, for the orders that the check names, what is safe to repeat.
    """
    if dry_run and not heals:
        raise click.UsageError("--dry-run goes with --heal")
    its, healed = deployment(data), None
    with its.api() as api:
        report = examine(its, api, only=only, settle_s=0.0 if heals else settle_s)
        if heals:
            healed = heal(api, report, why=why, dry_run=dry_run)
        if heals and (settle_s or (healed and not dry_run)):
            report = examine(its, api, only=only, settle_s=settle_s)
    click.echo(_json(report, healed) if as_json else text(report) + _told(healed, dry_run=dry_run))
    if report.broken or (at_rest and report.settling):
        raise SystemExit(1)


def _json(report: Report, healed: list[Healed] | None) -> str:
    document = report.document()
    if healed is not None:
        document["healed"] = [each.document() for each in healed]
    return json.dumps(document, indent=1)


def _told(healed: list[Healed] | None, *, dry_run: bool) -> str:
    """Say what was healed."""
    if healed is None:
        return ""
    lines = ["", "", "would be healed:" if dry_run else "healed:"]
    lines += [f"  {each.service}: order {each.order_id}: {each.did}" for each in healed[:_SHOWN]]
    if len(healed) > _SHOWN:
        lines.append(f"  and {len(healed) - _SHOWN} more (--json shows all)")
    return "\n".join(lines if healed else ["", "", "nothing to heal"])


def examine(its: Deployment, api: Api, *, only: str | None = None, settle_s: float = 0.0) -> Report:
    """Judge a deployment by its invariants, all or those of one group."""
    from orderflow_cli.invariants import INVARIANTS
    from orderflow_cli.invariants.sources import deadlines, sources_of, unreadable
    from orderflow_cli.invariants.survey import survey

    sources, left_out = sources_of(its, api), unreadable(its, api)
    chosen = [each for each in INVARIANTS if only in (None, each.group)]
    left_out = {each.name: left_out[each.name] for each in chosen if each.name in left_out}
    chosen = [each for each in chosen if each.name not in left_out]
    patience = Patience(min(_LONGEST_WINDOW_S, *deadlines()), settle_s)
    return replace(judge(lambda: survey(sources, chosen), chosen, patience), left_out=left_out)


def examine_if_allowed(its: Deployment, api: Api, *, settle_s: float) -> Report:
    """Judge a deployment after a run of ours; elsewhere we may have no audit roles, and then it says so."""
    try:
        return examine(its, api, settle_s=settle_s)
    except CommandError as error:
        if its.is_local:
            raise
        return Report({}, left_out={"all": error.format_message()})


def text(report: Report) -> str:
    """Return a report for a reader."""
    lines = [_mark(name, holds) for name, holds in report.invariants.items()]
    lines += [f"  {click.style('-', dim=True)} {name}: {why}" for name, why in report.left_out.items()]
    lines += _list("broken", report.broken) + _list("settling", report.settling)
    return "\n".join(lines)


def _mark(name: str, holds: bool) -> str:
    sign = click.style("✓", fg="green") if holds else click.style("✗", fg="red")
    return f"  {sign} {name.replace('_', ' ')}"


def _list(title: str, found: list[Contradiction]) -> list[str]:
    if not found:
        return []
    lines = ["", f"{title}:"]
    for each in found[:_SHOWN]:
        waits = f"; waits for {each.waits_for}" if each.waits_for else ""
        lines.append(f"  {each.invariant.replace('_', ' ')}: {each.about} {each.wrong}{waits}")
    if len(found) > _SHOWN:
        lines.append(f"  and {len(found) - _SHOWN} more (--json shows all)")
    return lines
