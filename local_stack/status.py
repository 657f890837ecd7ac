"""What `status` says of a running stack: processes, queues, outboxes, dead letters, databases."""

import json
from pathlib import Path
from typing import Any

import psycopg

from local_stack import client, http
from local_stack.access import Access
from orderflow_cli.names import SERVICES

_OUTBOX = """
    SELECT count(*) FILTER (WHERE available_at <= now()) AS rows,
           count(*) FILTER (WHERE available_at > now()) AS waiting,
           coalesce(extract(epoch FROM now() - min(available_at) FILTER (WHERE available_at <= now())), 0)
    FROM outbox
"""
_DEAD = "SELECT count(*) FROM dead_letters WHERE status = 'open'"


def status(data: Path) -> dict[str, Any]:
    """Return all of it; what cannot be read because its server is down is None."""
    access = client.access(data)
    outbox, dead = {}, {}
    for service in SERVICES:
        outbox[service], dead[service] = _messages(access.audit_url(service))
    return {
        "processes": client.processes(data),
        "queues": _queues(access),
        "outbox": outbox,
        "dead_letters": dead,
        "databases": {service: access.audit_url(service) for service in SERVICES},
    }


def _queues(access: Access) -> list[dict[str, Any]] | None:
    answer = http.get(f"{access.management_url('flower')}/api/queues/orderflow")
    if answer is None or answer.status != 200:
        return None
    return [
        {
            "name": queue["name"],
            "ready": queue.get("messages_ready", 0),
            "unacked": queue.get("messages_unacknowledged", 0),
            "consumers": queue.get("consumers", 0),
        }
        for queue in sorted(json.loads(answer.body), key=lambda queue: str(queue["name"]))
        if not queue.get("exclusive") and not queue["name"].startswith("celeryev")
    ]


def _messages(audit_url: str) -> tuple[dict[str, Any] | None, int | None]:
    try:
        with psycopg.connect(audit_url, connect_timeout=2) as connection:
            rows, waiting, oldest = connection.execute(_OUTBOX).fetchone() or (0, 0, 0)
            dead = connection.execute(_DEAD).fetchone() or (0,)
    except psycopg.Error:
        return None, None
    return {"rows": rows, "waiting": waiting, "oldest_s": round(float(oldest), 3)}, dead[0]
