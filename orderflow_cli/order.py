"""`orderflow order`: the story of one order over all services."""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from orderflow_cli import story
from orderflow_cli.client import Api, deployment, reason
from orderflow_cli.errors import CommandError
from orderflow_cli.invariants.sources import consumers
from orderflow_cli.names import SERVICES
from orderflow_cli.options import data_option, json_option
from orderflow_cli.waiting import Wait

_FINAL = {"completed", "cancelled"}
_POLL_S = 0.5
_OVERDUE_S = 2.0
_AWAY = {502, 503, 504}


@click.command()
@click.argument("order_id", metavar="ID", type=click.UUID)
@click.option("-f", "--follow", is_flag=True, help="Tell what happens until the order has come to its end.")
@json_option
@data_option
def command(order_id: UUID, follow: bool, as_json: bool, data: Path) -> None:
    """Tell the story of an order as a tree: every message, who handled it, how long it waited and for whom."""
    its = deployment(data)
    with its.api() as api:
        if follow:
            _follow(api, order_id, quiet=as_json)
        found = read(api, order_id, consumers(its))
    click.echo(json.dumps(found, indent=1) if as_json else _text(found))


def read(api: Api, order_id: UUID, queues: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return the order, its timeline, what it waits for, and the tree; `missing` are services that are away.

    `queues` are the consumers of each, if that is known.
    """
    order = _order(api, order_id)
    timeline = api.get(f"/v1/orders/{order_id}/timeline")
    entries, missing = entries_of(api, order_id)
    return {
        "order": order,
        "timeline": timeline["items"],
        "waits_for": [*(_words(each, queues) for each in timeline["waiting"]), *_ahead(entries)]
        if timeline["waiting"]
        else [],
        "tree": [node.document() for node in story.tree(entries)],
        "missing": missing,
    }


def _words(wait: Mapping[str, Any], queues: Mapping[str, int] | None) -> str:
    """Say whose answer is waited for."""
    now = _now()
    until = {
        name: story.seconds_between(now, wait[name]) for name in ("again_at", "given_up_at") if wait[name]
    }
    since_s = story.seconds_between(wait["since"], now)
    return Wait(
        wait["command"], since_s, until.get("again_at"), until.get("given_up_at"), wait["in_doubt"]
    ).words(queues)


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _ahead(entries: list[dict[str, Any]]) -> Iterator[str]:
    """Say what an order waits for besides: dead letters of its messages, and messages that have not left."""
    for entry in entries:
        if entry["state"] == "open":
            yield f"a dead letter of {entry['service']}: {entry['type'] or 'unreadable'}"
        elif entry["state"] == "waiting" and story.seconds_between(entry["sent_at"], _now()) > _OVERDUE_S:
            yield f"{entry['type']} to leave {entry['service']}"


def entries_of(api: Api, journey: UUID) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return what all services tell of a journey, and why one tells nothing."""
    entries: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    for service in SERVICES:
        answer = api.answer("GET", f"/ops/{service}/stories/{journey}")
        if answer.status_code in _AWAY:
            missing[service] = reason(answer)
        elif answer.is_success:
            entries += answer.json()["items"]
        else:
            raise CommandError(f"the story of {service}: {reason(answer)}")
    return entries, missing


def _order(api: Api, order_id: UUID) -> dict[str, Any]:
    answer = api.answer("GET", f"/v1/orders/{order_id}")
    if answer.status_code == 404:
        raise CommandError(f"there is no order {order_id}")
    if not answer.is_success:
        raise CommandError(f"order {order_id}: {reason(answer)}")
    return dict(answer.json())


def _follow(api: Api, order_id: UUID, *, quiet: bool) -> None:
    """Say each thing that happens when it happens, until the order is final."""
    began = _order(api, order_id)["created_at"]
    told, waiting = 0, ""
    while True:
        status = _order(api, order_id)["status"]
        timeline = api.get(f"/v1/orders/{order_id}/timeline")
        for entry in timeline["items"][told:] if not quiet else ():
            click.echo(_event(entry, began))
        told = len(timeline["items"])
        if status in _FINAL:
            return
        if (now_waiting := ", ".join(timeline["waits_for"])) != waiting and not quiet:
            click.secho(f"{'':13}waits for {now_waiting}", dim=True)
        waiting = now_waiting
        time.sleep(_POLL_S)


def _text(found: dict[str, Any]) -> str:
    order, began = found["order"], found["order"]["created_at"]
    total = order["total"]
    why = f" ({order['reason']}: {order['detail']})" if order["reason"] else ""
    status, cost = (
        click.style(order["status"], bold=True),
        f"{total['amount']} {total['currency']} (minor units)",
    )
    parts = [f"order {order['id']}  {status}{why}  {cost}", f"accepted {began}"]
    nodes = [story.node_of(each) for each in found["tree"]]
    parts += [click.style(line, fg="yellow") if loud else line for line, loud in story.lines(nodes, began)]
    parts += ["", "timeline", *(_event(entry, began) for entry in found["timeline"])]
    parts += [click.style(f"waits for {each}", fg="yellow") for each in found["waits_for"]]
    parts += [
        click.style(f"{service} tells nothing: {why}", fg="red") for service, why in found["missing"].items()
    ]
    return "\n".join(parts)


def _event(entry: dict[str, Any], began: str) -> str:
    detail = f"  {entry['detail']}" if entry["detail"] else ""
    return f"{story.seconds_between(began, entry['at']):+9.3f} s  {entry['event']}{detail}"
