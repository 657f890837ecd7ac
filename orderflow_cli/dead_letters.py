"""`orderflow dead-letters`: what could not be handled, by cause; shown, replayed or discarded."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from orderflow_cli import dead_letter_view as view
from orderflow_cli import order, story
from orderflow_cli.client import Api, deployment, reason
from orderflow_cli.errors import CommandError
from orderflow_cli.names import SERVICES
from orderflow_cli.options import data_option, json_option

JSON = dict[str, Any]
_PAGE = 200
_AT_ONCE = 10_000
STATUSES = ("open", "replayed", "discarded", "handled", "any")

_service = click.option("--service", type=click.Choice(SERVICES), help="Only this service's.")
_type = click.option("--type", "type_", metavar="TYPE", help="Only messages of this type.")
_cause = click.option("--cause", help="Only those that died of this cause.")
_order = click.option("--order", "order_id", type=click.UUID, metavar="ID", help="Only those of this order.")
_id = click.option("--id", "ids", type=click.UUID, multiple=True, help="Only this one; may be repeated.")
_all = click.option("--all", "all_", is_flag=True, help="All that are open, of all services.")
_dry = click.option("--dry-run", is_flag=True, help="Only say which.")


@dataclass(frozen=True)
class Wanted:
    """Which open dead letters a command is about."""

    service: str | None = None
    type: str | None = None
    cause: str | None = None
    order_id: UUID | None = None
    ids: tuple[UUID, ...] = ()

    @property
    def services(self) -> tuple[str, ...]:
        """The services whose dead letters may be meant."""
        return (self.service,) if self.service else SERVICES

    @property
    def names_none(self) -> bool:
        """Whether nothing says which ones."""
        return self == Wanted()

    @property
    def filter(self) -> JSON:
        """What a service is asked for."""
        order_id = str(self.order_id) if self.order_id else None
        which = {"type": self.type, "cause": self.cause, "correlation_id": order_id}
        return {name: value for name, value in which.items() if value is not None}


@click.group()
def command() -> None:
    """List, show, replay or discard the messages that could not be handled. Who did what stays on record."""


def _which(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which open dead letters it acts on (argument `wanted`)."""

    @_service
    @_type
    @_cause
    @_order
    @_id
    @_all
    @wraps(function)
    def act(
        service: str | None, type_: str | None, cause: str | None, order_id: UUID | None,
        ids: tuple[UUID, ...], all_: bool, **options: Any,
    ) -> None:  # fmt: skip
        wanted = Wanted(service, type_, cause, order_id, ids)
        if wanted.names_none and not all_:  # nobody acts on everything by oversight
            raise click.UsageError("say which: --service, --type, --cause, --order, --id, or --all")
        function(wanted=wanted, **options)

    return act


@command.command("list")
@_service
@_type
@_cause
@_order
@click.option("--status", type=click.Choice(STATUSES), default="open", help="Open ones are the default.")
@json_option
@data_option
def list_(
    service: str | None, type_: str | None, cause: str | None, order_id: UUID | None, status: str,
    as_json: bool, data: Path,
) -> None:  # fmt: skip
    """List them, grouped by cause."""
    wanted = Wanted(service, type_, cause, order_id)
    with deployment(data).api() as api:
        groups = _groups(api, wanted, status)
        items = list(_matching(api, wanted, status)) if as_json else []
    if as_json:
        click.echo(json.dumps({"count": len(items), "causes": groups, "items": items}, indent=1))
    else:
        click.echo(
            view.table(groups) if groups else f"no {'' if status == 'any' else f'{status} '}dead letters"
        )


@command.command()
@click.argument("dead_letter_id", metavar="[ID]", type=click.UUID, required=False)
@click.option("--id", "named", type=click.UUID, help="The same as the argument.")
@json_option
@data_option
def show(dead_letter_id: UUID | None, named: UUID | None, as_json: bool, data: Path) -> None:
    """Show one: its message, headers, reason and traceback, and what happened around it."""
    wanted = dead_letter_id or named
    if wanted is None:
        raise click.UsageError("say which: its id")
    with deployment(data).api() as api:
        service, found = _find(api, wanted, SERVICES)
        around = _around(api, found["correlation_id"])
    found = {"service": service, **found, "story": around}
    click.echo(json.dumps(found, indent=1) if as_json else view.whole(found))


@command.command()
@_which
@click.option("--reason", "why", default="", help="Why, for the record.")
@_dry
@json_option
@data_option
def replay(wanted: Wanted, why: str, dry_run: bool, as_json: bool, data: Path) -> None:
    """Send them to the service that could not handle them, again; to no other. Forged ones stay."""
    _act("replay", "replayed", wanted, why, dry_run=dry_run, as_json=as_json, data=data)


@command.command()
@_which
@click.option("--reason", "why", required=True, help="Why, for the record.")
@_dry
@json_option
@data_option
def discard(wanted: Wanted, why: str, dry_run: bool, as_json: bool, data: Path) -> None:
    """Close them without any effect."""
    _act("discard", "discarded", wanted, why, dry_run=dry_run, as_json=as_json, data=data)


def _act(
    action: str, done_word: str, wanted: Wanted, why: str, *, dry_run: bool, as_json: bool, data: Path
) -> None:
    """Do it and tell; the status is 1 if one that was named could not be acted on."""
    from shared_events.dead_letters import FORGED  # not at the top: it loads SQLAlchemy

    refused: list[str] = []
    with deployment(data).api() as api:
        if dry_run:
            found = _matching(api, wanted)
            done = [each for each in found if action == "discard" or each["cause"] != FORGED]
        elif wanted.ids:
            done = list(_one_by_one(api, wanted, action, why, refused))
        else:
            done = list(_many(api, wanted, action, why))
    _tell(done_word, done, dry_run=dry_run, as_json=as_json)
    if refused:
        raise CommandError("; ".join(refused))


def _matching(api: Api, wanted: Wanted, status: str = "open") -> Iterator[JSON]:
    """Yield the dead letters that match, each with its service."""
    if wanted.ids:
        for dead_letter_id in wanted.ids:
            service, found = _find(api, dead_letter_id, wanted.services)
            if all(found[name] == value for name, value in wanted.filter.items()):
                yield {"service": service, **found}
        return
    for service in wanted.services:
        query = {**wanted.filter, "status": status, "limit": _PAGE}
        for found in api.items(f"/ops/{service}/dead-letters", **query):
            yield {"service": service, **found}


def _groups(api: Api, wanted: Wanted, status: str) -> list[JSON]:
    """Return how many there are of each cause and type, most frequent first."""
    groups = [
        {"service": service, **group}
        for service in wanted.services
        for group in api.get(f"/ops/{service}/dead-letters/causes", **wanted.filter, status=status)["items"]
    ]
    return sorted(groups, key=lambda group: -group["count"])


def _find(api: Api, dead_letter_id: UUID, services: tuple[str, ...]) -> tuple[str, JSON]:
    """Return whose it is, and it."""
    for service in services:
        answer = api.answer("GET", f"/ops/{service}/dead-letters/{dead_letter_id}")
        if answer.is_success:
            return service, dict(answer.json())
        if answer.status_code != 404:
            api.get(f"/ops/{service}/dead-letters/{dead_letter_id}")  # says what is wrong
    raise CommandError(f"there is no dead letter {dead_letter_id}")


def _around(api: Api, journey: str | None) -> JSON:
    """Return the story of the journey (an order's id) that a message belongs to."""
    if journey is None:
        return {"tree": [], "missing": {}}
    entries, missing = order.entries_of(api, UUID(journey))
    return {"tree": [node.document() for node in story.tree(entries)], "missing": missing}


def _one_by_one(api: Api, wanted: Wanted, action: str, why: str, refused: list[str]) -> Iterator[JSON]:
    """Act on each that was named; one that is not open any more, or forged, is `refused` and hinders no other."""
    for found in _matching(api, wanted):
        path = f"/ops/{found['service']}/dead-letters/{found['id']}/{action}"
        answer = api.answer("POST", path, {"reason": why})
        if answer.is_success:
            yield {"service": found["service"], **answer.json()}
        else:
            refused.append(f"{found['id']}: {reason(answer)}")


def _many(api: Api, wanted: Wanted, action: str, why: str) -> Iterator[JSON]:
    """Have each service act on all that match, as many at once as it does."""
    asked = {**wanted.filter, "reason": why}
    if action == "discard" and not wanted.filter:
        asked["all"] = True
    for service in wanted.services:
        count = _AT_ONCE
        while count == _AT_ONCE:
            done = api.ask("POST", f"/ops/{service}/dead-letters/{action}", asked)
            yield from ({"service": service, "id": each} for each in done["ids"])
            count = done["count"]


def _tell(verb: str, done: list[JSON], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, "count": len(done), "items": done}, indent=1))
        return
    for each in done:
        click.echo(
            "  ".join(str(each[name]) for name in ("id", "service", "type", "cause") if each.get(name))
        )
    click.echo(f"{'would be ' if dry_run else ''}{verb}: {len(done)}")
