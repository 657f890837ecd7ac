"""`orderflow status`: show every process, server, queue and outbox."""

import json
from pathlib import Path
from typing import Any

import click

from orderflow_cli.options import data_option, json_option

_COLOURS = {"ready": "green", "starting": "yellow", "degraded": "yellow", "failed": "red"}


@click.command()
@json_option
@data_option
def command(as_json: bool, data: Path) -> None:
    """Show every process and server, the queues, the outboxes and the open dead letters."""
    from local_stack.status import status

    found = status(data)
    click.echo(json.dumps(found, indent=1) if as_json else _table(found))


def _table(found: dict[str, Any]) -> str:
    lines = [f"{'NAME':24} {'STATE':9} {'PID':>8}  {'ADDRESS':22} RESTARTS"]
    for each in found["processes"]:
        state = click.style(f"{each['state']:9}", fg=_COLOURS.get(each["state"]))
        pid = each["pid"] or "-"
        lines.append(f"{each['name']:24} {state} {pid:>8}  {each['address']:22} {each['restarts']:>8}")
    lines += ["", f"{'SERVICE':24} {'OUTBOX':>8} {'OLDEST':>9} {'TIMERS':>8} {'DEAD LETTERS':>13}"]
    for service, outbox in found["outbox"].items():
        lines.append(f"{service:24} {_outbox(outbox, found['dead_letters'][service])}")
    lines += ["", *_queues(found["queues"])]
    return "\n".join(lines)


def _outbox(outbox: dict[str, Any] | None, dead: int | None) -> str:
    if outbox is None:
        return "its database does not answer"
    return f"{outbox['rows']:>8} {outbox['oldest_s']:>7.1f} s {outbox['waiting']:>8} {dead:>13}"


def _queues(queues: list[dict[str, Any]] | None) -> list[str]:
    if queues is None:
        return ["RabbitMQ does not answer"]
    shown = [each for each in queues if each["consumers"] or each["ready"] or each["unacked"]]
    lines = [f"{'QUEUE':24} {'READY':>8} {'UNACKED':>9} {'CONSUMERS':>10}"]
    lines += [
        f"{each['name']:24} {each['ready']:>8} {each['unacked']:>9} {each['consumers']:>10}" for each in shown
    ]
    if len(shown) < len(queues):
        lines.append(f"and {len(queues) - len(shown)} empty ones that nobody reads from")
    return lines
