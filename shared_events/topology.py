"""RabbitMQ's shape: one exchange `messages` for all, and for each service an exchange and queues of its own.

`definitions()` is the whole of it as a RabbitMQ definitions document: exchanges, queues, bindings, policies,
and permissions that follow the contracts. deploy/rabbitmq/definitions.json is that document; a test keeps it so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shared_events.contract import CONTRACTS, Contract, Timer
from shared_events.outbox import MESSAGES

VHOST = "orderflow"
TIERS_S = (1, 5, 30, 120, 600)
"""Back-off tiers in seconds; a message that failed once waits in the first, and so on."""
DELIVERY_LIMIT = 200
"""The broker's last net. Batches prefetch, and each death of a worker counts one for every prefetched message."""
NO_DELIVERY_LIMIT = 1_000_000_000
"""For dead letters: RabbitMQ 4 drops what came back 20 times, and they wait for their table however long it is away."""


@dataclass(frozen=True)
class WorkQueue:
    """A queue that a worker consumes, with its back-off tiers and the service's dead-letter queue.

    `returns_by` is the routing key on `<service>.x` by which retries and replays come back to this queue.
    """

    service: str
    name: str
    returns_by: str

    @property
    def exchange(self) -> str:
        """The service's own exchange: retries, replays and dead letters travel by it alone."""
        return f"{self.service}.x"

    @property
    def dead(self) -> str:
        """The service's dead-letter queue, which is also its routing key."""
        return f"{self.service}.dead"

    def tier(self, seconds: int) -> str:
        """Return the queue (and routing key) in which a message waits `seconds` before it comes back."""
        return f"{self.name}.retry.{seconds}s"


def work_queue(service: str) -> WorkQueue:
    """Return the queue that the service's worker consumes."""
    return WorkQueue(service, service, "work")


PAYMENT_CALLS = WorkQueue("payments", "payments.calls", "calls")
"""The payments executor's queue: a bulkhead, so that a slow provider slows nothing else."""


def bindings(queue: WorkQueue, handled: Iterable[Contract]) -> list[tuple[str, str]]:
    """Return the (exchange, routing key) pairs of a work queue: exactly the types in its handler table."""
    keys = {(queue.exchange, queue.returns_by)}
    for its in handled:
        keys.add((queue.exchange if its.kind is Timer else MESSAGES, its.type))
    return sorted(keys)


def definitions(queues: dict[WorkQueue, Iterable[Contract]]) -> dict[str, Any]:
    """Return the definitions document for these queues and the contracts that each handles.

    Users carry no password: provisioning sets it, so that no secret is in the repository.
    """
    services = sorted({queue.service for queue in queues})
    handled = {service: _handled_by(service, queues) for service in services}
    return {
        "vhosts": [{"name": VHOST}],
        "users": [{"name": name, "password_hash": "", "tags": ""} for name in services]
        + [{"name": "flower", "password_hash": "", "tags": "monitoring"}],
        "permissions": [_permission(name) for name in services] + [_FLOWER],
        "topic_permissions": [_topic_permission(name, handled[name]) for name in services],
        "policies": [policy for queue in queues for policy in _policies(queue)]
        + [_policy(f"{name}.dead", {"delivery-limit": NO_DELIVERY_LIMIT}) for name in services],
        "exchanges": [
            _exchange(MESSAGES),
            {**_exchange("celeryev"), "type": "topic"},
            *(_exchange(f"{name}.x") for name in services),
        ],
        "queues": [_queue(name) for name in sorted({n for queue in queues for n in _queue_names(queue)})],
        "bindings": _once(binding for queue, its in queues.items() for binding in _bindings(queue, its)),
    }


def _once(bindings: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out repetitions: two work queues of one service share its dead letters."""
    found: list[dict[str, Any]] = []
    for each in bindings:
        if each not in found:
            found.append(each)
    return found


def _handled_by(service: str, queues: dict[WorkQueue, Iterable[Contract]]) -> list[str]:
    return sorted(
        its.type
        for queue, many in queues.items()
        if queue.service == service
        for its in many
        if its.kind is not Timer
    )


def _permission(service: str) -> dict[str, str]:
    own = rf"{service}(\..*)?"
    return {
        "user": service,
        "vhost": VHOST,
        "configure": f"^{own}$",
        "write": f"^({own}|messages|celeryev)$",
        "read": f"^({own}|messages)$",
    }


# Flower listens on `celeryev`. Before, it wakes workers by remote control, which ours do not hear
# (it is off), but which may not be refused.
_FLOWER_OWN = r"^(celeryev(\..*)?|([^/]*\.)?(reply\.)?celery\.pidbox)$"
_FLOWER = {
    "user": "flower",
    "vhost": VHOST,
    "configure": _FLOWER_OWN,
    "write": _FLOWER_OWN,
    "read": _FLOWER_OWN,
}


def _topic_permission(service: str, reads: list[str]) -> dict[str, str]:
    writes = sorted(c.type for c in CONTRACTS.values() if c.sent_by == service and c.kind is not Timer)
    return {
        "user": service,
        "vhost": VHOST,
        "exchange": MESSAGES,
        "write": _any_of(writes),
        "read": _any_of(reads),
    }


def _any_of(types: list[str]) -> str:
    return "^(" + "|".join(name.replace(".", r"\.") for name in types) + ")$"


def _policies(queue: WorkQueue) -> list[dict[str, Any]]:
    kept = {"dead-letter-exchange": queue.exchange, "dead-letter-strategy": "at-least-once"}
    kept["overflow"] = "reject-publish"
    yield_back = {**kept, "dead-letter-routing-key": queue.returns_by}
    work = {**kept, "dead-letter-routing-key": queue.dead, "delivery-limit": DELIVERY_LIMIT}
    return [
        _policy(queue.name, work),
        *(_policy(queue.tier(seconds), {**yield_back, "message-ttl": seconds * 1000}) for seconds in TIERS_S),
    ]


def _policy(queue: str, definition: dict[str, Any]) -> dict[str, Any]:
    pattern = "^" + queue.replace(".", r"\.") + "$"
    return {
        "vhost": VHOST,
        "name": queue,
        "pattern": pattern,
        "apply-to": "queues",
        "priority": 0,
        "definition": definition,
    }


def _queue_names(queue: WorkQueue) -> list[str]:
    return [queue.name, queue.dead, *(queue.tier(seconds) for seconds in TIERS_S)]


def _exchange(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "vhost": VHOST,
        "type": "topic",
        "durable": True,
        "auto_delete": False,
        "internal": False,
        "arguments": {},
    }


def _queue(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "vhost": VHOST,
        "durable": True,
        "auto_delete": False,
        "arguments": {"x-queue-type": "quorum"},
    }


def _bindings(queue: WorkQueue, handled: Iterable[Contract]) -> list[dict[str, Any]]:
    own = [(queue.exchange, name, name) for name in _queue_names(queue)[1:]]
    work = [(source, queue.name, key) for source, key in bindings(queue, handled)]
    return [
        {
            "source": source,
            "vhost": VHOST,
            "destination": destination,
            "destination_type": "queue",
            "routing_key": key,
            "arguments": {},
        }
        for source, destination, key in work + own
    ]
