"""How dead letters are shown to a reader."""

from typing import Any

import click

from orderflow_cli import story

JSON = dict[str, Any]
_APART = {"body", "headers", "traceback", "story"}


def table(groups: list[JSON]) -> str:
    """Return the causes, most frequent first."""
    lines = [f"{'COUNT':>6}  {'SERVICE':10} {'TYPE':34} {'NEWEST':20} CAUSE"]
    lines += [
        f"{each['count']:>6}  {each['service']:10} {each['type'] or 'unreadable':34}"
        f" {each['newest'][:19]:20} {each['cause']}"
        for each in groups
    ]
    return "\n".join(lines)


def whole(found: JSON) -> str:
    """Return one dead letter with its message, why it died, and what happened around it."""
    names = [name for name in found if name not in _APART and found[name] is not None]
    lines = [f"{name:15} {found[name]}" for name in names]
    body = found.get("body")
    lines += ["", "message", body if body is not None else f"base64: {found.get('body_base64')}"]
    lines += ["", "headers", *(f"{name:25} {value}" for name, value in sorted(found["headers"].items()))]
    if found.get("traceback"):
        lines += ["", "traceback", str(found["traceback"]).rstrip()]
    return "\n".join(lines + _story(found["story"]))


def _story(told: JSON) -> list[str]:
    """Return the journey that the message belongs to."""
    lines = [f"{service} tells nothing: {why}" for service, why in told["missing"].items()]
    if told["tree"]:
        nodes = [story.node_of(each) for each in told["tree"]]
        said = story.lines(nodes, min(node.at for node in nodes))
        lines += [click.style(line, fg="yellow") if loud else line for line, loud in said]
    return ["", "the story around it", *lines] if lines else []
