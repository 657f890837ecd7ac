"""Bundles: messages of one type that left together share one AMQP message, as the arguments of one task.

The way through the broker and through a worker's main process costs the same for ten messages as for one. A bundle is
only a wrapping: its sender's relay ties it, the worker that receives it (or the collector of dead letters) takes it
apart first of all, and from there on each message is on its own. Facts are not bundled: anybody may read them.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from shared_events.delivery import Delivery, whole
from shared_events.outbox import BODY_HEAD, BODY_TAIL

AT_MOST = 10
"""So many messages share one: more would save little, and keep what one worker holds from its neighbours."""
LARGEST = 64_000
"""Bytes of a bundle's bodies; a message larger than that goes by itself."""
TAKEN_AT_MOST = 100
"""What claims to hold more is not taken apart, so that nobody's message makes many."""
COUNT = "bundle"
"""The header that says how many messages there are; without it there is one."""


class _Named(msgspec.Struct):
    """What Flower is told of a message before anybody reads it."""

    id: str
    correlation_id: str = ""
    subject: str = ""


_arguments = msgspec.json.Decoder(tuple[tuple[msgspec.Raw, ...], dict[str, Any], Any])
_named = msgspec.json.Decoder(_Named)


def may_share(body: bytes) -> bool:
    """Whether this is the body of one message, as the outbox makes them."""
    return body.startswith(BODY_HEAD) and body.endswith(BODY_TAIL)


def grouped(rows: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield outbox rows of one type in groups, each for one bundle."""
    group: list[Any] = []
    size = 0
    for row in rows:
        if group and (len(group) == AT_MOST or size + len(row.body) > LARGEST):
            yield group
            group, size = [], 0
        group.append(row)
        size += len(row.body)
    if group:
        yield group


def join(bodies: Sequence[bytes]) -> bytes:
    """Return one body for the messages of these; each of them `may_share`."""
    return BODY_HEAD + b",".join(body[len(BODY_HEAD) : -len(BODY_TAIL)] for body in bodies) + BODY_TAIL


def split(delivery: Delivery) -> list[Delivery]:
    """Return what a delivery holds, each as if it had come by itself. An unreadable bundle stays as it is."""
    count = whole(delivery.headers.get(COUNT))
    if not 2 <= count <= TAKEN_AT_MOST:
        return [delivery]
    try:
        held = _arguments.decode(delivery.body)[0]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [delivery]
    return [_single(delivery, raw) for raw in held] if len(held) == count else [delivery]


def _single(delivery: Delivery, raw: msgspec.Raw) -> Delivery:
    try:
        named = _named.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        named = _Named("")  # whoever reads it says what is wrong
    own = {"id": named.id, "root_id": named.correlation_id, "argsrepr": named.subject}
    headers = {**delivery.headers, **own}
    del headers[COUNT]
    return delivery._replace(body=BODY_HEAD + bytes(raw) + BODY_TAIL, headers=headers)
