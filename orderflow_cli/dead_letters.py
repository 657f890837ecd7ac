"""`orderflow dead-letters`: what could not be handled, by cause; shown, replayed or discarded."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from orderflow_cli.client import Api, deployment
from orderflow_cli.errors import CommandError
from orderflow_cli.names import SERVICES
from orderflow_cli.options import data_option, json_option

JSON = dict[str, Any]
_PAGE = 200
_AT_ONCE = 10_000

_service = click.option("--service", type=click.Choice(SERVICES), help="Only this service's.")
_type = click.option("--type", "type_", metavar="TYPE", help="Only messages of this type.")
_cause = click.option("--cause", help="Only those that died of this cause.")
_id = click.option("--id", "ids", type=click.UUID, multiple=True, help="Only this one; may be repeated.")
_all = click.option("--all", "all_", is_flag=True, help="All that are open, of all services.")
_dry = click.option("--dry-run", is_flag=True, help="Only say which.")


@dataclass(frozen=True)
class Wanted:
    """Which open dead letters a command is about."""

    service: str | None = None
    type: str | None = None
    cause: str | None = None
    ids: tuple[UUID, ...] = ()

    @property
    def services(self) -> tuple[str, ...]:
        """The services whose dead letters may be meant."""
        return (self.service,) if self.service else SERVICES

    @property
    def names_none(self) -> bool:
        """Whether nothing says which ones."""
        return self == Wanted()


@click.group()
def command() -> None:
    """List, show, replay or discard the messages that could not be handled. Who did what stays on record."""


@command.command("list")
@_service
@_type
@_cause
@json_option
@data_option
def list_(service: str | None, type_: str | None, cause: str | None, as_json: bool, data: Path) -> None:
    """List the open dead letters, grouped by cause."""
    with deployment(data).api() as api:
        found = list(_matching(api, Wanted(service, type_, cause)))
    groups = _by_cause(found)
    if as_json:
        click.echo(json.dumps({"count": len(found), "causes": groups, "items": found}, indent=1))
    else:
        click.echo(_table(groups) if groups else "no open dead letters")


@command.command()
@click.argument("dead_letter_id", metavar="ID", type=click.UUID)
@json_option
@data_option
def show(dead_letter_id: UUID, as_json: bool, data: Path) -> None:
    """Show one with its message, its reason and its traceback."""
    with deployment(data).api() as api:
        service, found = _find(api, dead_letter_id, SERVICES)
    found = {"service": service, **found}
    click.echo(json.dumps(found, indent=1) if as_json else _whole(found))


@command.command()
@_service
@_type
@_cause
@_id
@_all
@click.option("--reason", default="", help="Why, for the record.")
@_dry
@json_option
@data_option
def replay(
    service: str | None, type_: str | None, cause: str | None, ids: tuple[UUID, ...], all_: bool,
    reason: str, dry_run: bool, as_json: bool, data: Path,
) -> None:  # fmt: skip
    """Send them to the service that could not handle them, again; to no other. Forged ones stay."""
    from shared_events.dead_letters import FORGED  # not at the top: it loads SQLAlchemy

    wanted = _chosen(Wanted(service, type_, cause, ids), all_)
    with deployment(data).api() as api:
        if dry_run:
            done = [each for each in _matching(api, wanted) if each["cause"] != FORGED]
        elif wanted.ids:
            done = _one_by_one(api, wanted, "replay", reason, dry_run=False)
        else:
            done = list(_replay_many(api, wanted, reason))
    _tell("replayed", done, dry_run=dry_run, as_json=as_json)


@command.command()
@_service
@_type
@_cause
@_id
@_all
@click.option("--reason", required=True, help="Why, for the record.")
@_dry
@json_option
@data_option
def discard(
    service: str | None, type_: str | None, cause: str | None, ids: tuple[UUID, ...], all_: bool,
    reason: str, dry_run: bool, as_json: bool, data: Path,
) -> None:  # fmt: skip
    """Close them without any effect."""
    wanted = _chosen(Wanted(service, type_, cause, ids), all_)
    with deployment(data).api() as api:
        done = _one_by_one(api, wanted, "discard", reason, dry_run=dry_run)
    _tell("discarded", done, dry_run=dry_run, as_json=as_json)


def _chosen(wanted: Wanted, all_: bool) -> Wanted:
    """Refuse to act on everything by oversight."""
    if wanted.names_none and not all_:
        raise click.UsageError("say which: --service, --type, --cause, --id, or --all")
    return wanted


def _matching(api: Api, wanted: Wanted) -> Iterator[JSON]:
    """Yield the open dead letters that match, each with its service."""
    if wanted.ids:
        for dead_letter_id in wanted.ids:
            service, found = _find(api, dead_letter_id, wanted.services)
            if wanted.type in (None, found["type"]) and wanted.cause in (None, found["cause"]):
                yield {"service": service, **found}
        return
    for service in wanted.services:
        query = {"type": wanted.type, "cause": wanted.cause, "limit": _PAGE}
        for found in api.items(f"/ops/{service}/dead-letters", **query):
            yield {"service": service, **found}


def _find(api: Api, dead_letter_id: UUID, services: tuple[str, ...]) -> tuple[str, JSON]:
    """Return whose it is, and it."""
    for service in services:
        answer = api.answer("GET", f"/ops/{service}/dead-letters/{dead_letter_id}")
        if answer.is_success:
            return service, dict(answer.json())
        if answer.status_code != 404:
            api.get(f"/ops/{service}/dead-letters/{dead_letter_id}")  # says what is wrong
    raise CommandError(f"there is no dead letter {dead_letter_id}")


def _one_by_one(api: Api, wanted: Wanted, action: str, reason: str, *, dry_run: bool) -> list[JSON]:
    """Act on every one that matches; each is one audited step."""

    def act(found: JSON) -> JSON:
        path = f"/ops/{found['service']}/dead-letters/{found['id']}/{action}"
        return {"service": found["service"], **api.ask("POST", path, {"reason": reason})}

    found = list(_matching(api, wanted))
    return found if dry_run else [act(each) for each in found]


def _replay_many(api: Api, wanted: Wanted, reason: str) -> Iterator[JSON]:
    """Have each service replay all that match, as many at once as it does."""
    which = {name: value for name, value in (("type", wanted.type), ("cause", wanted.cause)) if value}
    for service in wanted.services:
        count = _AT_ONCE
        while count == _AT_ONCE:
            done = api.ask("POST", f"/ops/{service}/dead-letters/replay", {**which, "reason": reason})
            yield from ({"service": service, "id": each} for each in done["ids"])
            count = done["count"]


def _by_cause(found: list[JSON]) -> list[JSON]:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for each in found:
        key = (each["service"], each["cause"], each["type"] or "unreadable")
        groups.setdefault(key, []).append(each["died_at"])
    return [
        {"service": service, "cause": cause, "type": type_, "count": len(times),
         "oldest": min(times), "newest": max(times)}
        for (service, cause, type_), times in sorted(groups.items(), key=lambda group: -len(group[1]))
    ]  # fmt: skip


def _table(groups: list[JSON]) -> str:
    lines = [f"{'COUNT':>6}  {'SERVICE':10} {'TYPE':34} {'NEWEST':20} CAUSE"]
    lines += [
        f"{each['count']:>6}  {each['service']:10} {each['type']:34} {each['newest'][:19]:20} {each['cause']}"
        for each in groups
    ]
    return "\n".join(lines)


def _whole(found: JSON) -> str:
    names = [
        name for name in found if name not in {"body", "headers", "traceback"} and found[name] is not None
    ]
    lines = [f"{name:15} {found[name]}" for name in names]
    body = found.get("body")
    lines += ["", "message", body if body is not None else f"base64: {found.get('body_base64')}"]
    if found.get("traceback"):
        lines += ["", "traceback", str(found["traceback"]).rstrip()]
    return "\n".join(lines)


def _tell(verb: str, done: list[JSON], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, "count": len(done), "items": done}, indent=1))
        return
    for each in done:
        click.echo(
            "  ".join(str(each[name]) for name in ("id", "service", "type", "cause") if each.get(name))
        )
    click.echo(f"{'would be ' if dry_run else ''}{verb}: {len(done)}")
