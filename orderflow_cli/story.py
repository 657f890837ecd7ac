"""An order's story: what each service tells of one journey, put together as a tree of causes. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

LONG_S = 1.0
"""A message that waited so long is a gap worth telling."""

JSON = Mapping[str, Any]


@dataclass
class Node:
    """One message, what a service did with it, and the messages that followed from it.

    `waited_s` is the time from when it was due to leave until it was handled; None if it was not.
    """

    message: str
    service: str
    state: str
    at: str
    attempts: int = 0
    waited_s: float | None = None
    detail: str = ""
    message_id: str | None = None
    then: list["Node"] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return it for a program."""
        return asdict(self)


def node_of(document: JSON) -> Node:
    """Return the node that a document was made of."""
    return Node(**{**document, "then": [node_of(each) for each in document["then"]]})


def tree(entries: Iterable[JSON]) -> list[Node]:
    """Return the roots: the messages that followed from the order's acceptance, or from a cause not told.

    A message follows from its cause as the service saw it that sent the message: a fact has several readers.
    """
    told = sorted(entries, key=lambda entry: (str(entry["at"]), str(entry["message_id"])))
    nodes = [_node(entry) for entry in told]
    causes = {entry["message_id"]: entry["causation_id"] for entry in told if entry["causation_id"]}
    seen_by = {(node.message_id, node.service): node for node in nodes}
    roots: list[Node] = []
    for entry, node in zip(told, nodes, strict=True):
        cause = seen_by.get((causes.get(entry["message_id"]), entry["source"]))
        (cause.then if cause and cause is not node else roots).append(node)
    return roots


def _node(entry: JSON) -> Node:
    waited_s = None
    if entry["state"] == "handled" and entry["sent_at"]:
        waited_s = max(0.0, seconds_between(entry["sent_at"], entry["at"]))
    return Node(
        message=entry["type"] or "unreadable",
        service=entry["service"],
        state=entry["state"],
        at=entry["at"],
        attempts=entry["attempts"],
        waited_s=None if waited_s is None else round(waited_s, 3),
        detail=f"due {entry['sent_at'][:19]} UTC" if entry["state"] == "waiting" else entry["detail"],
        message_id=entry["message_id"],
    )


def seconds_between(earlier: str, later: str) -> float:
    """Return the seconds between two times as the API writes them."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def lines(nodes: Iterable[Node], began: str, indent: str = "") -> Iterator[tuple[str, bool]]:
    """Yield the tree line by line; True beside a line that tells a gap, a repetition or a dead letter."""
    siblings = list(nodes)
    for node in siblings:
        is_last = node is siblings[-1]
        words, notable = _words(node)
        branch = "└─ " if is_last else "├─ "
        yield f"{_offset(node, began)}  {indent}{branch}{node.message}  {words}".rstrip(), notable
        yield from lines(node.then, began, indent + ("   " if is_last else "│  "))


def _offset(node: Node, began: str) -> str:
    return f"{seconds_between(began, node.at):+9.3f} s"


def _words(node: Node) -> tuple[str, bool]:
    if node.state == "waiting":
        return f"waiting in {node.service}, {node.detail}", True
    if node.state != "handled":
        return f"{node.service}: {node.detail} ({node.state}, {node.attempts} attempts)", True
    words = [node.service]
    if node.waited_s is not None and node.waited_s >= LONG_S:
        words.append(f"waited {node.waited_s:.1f} s for {node.service}")
    if node.attempts > 1:
        words.append(f"attempt {node.attempts}")
    return ", ".join(words), len(words) > 1
