"""Where a deployment's invariants are read: from its environment, or from the local stack."""

import json
import os
from collections.abc import Mapping
from typing import Any

from orderflow_cli import accepted
from orderflow_cli.client import Api, Deployment, reason
from orderflow_cli.errors import CommandError
from orderflow_cli.invariants.messages import dead_letter_queues_are_emptied
from orderflow_cli.invariants.money import payments_equal_the_providers_record
from orderflow_cli.invariants.reading import Sources
from orderflow_cli.names import SERVICES

_RECORDS = "/ops/payments/provider-records"
_PAGE = 1000
_NO_RECORDS = {404, 502, 503, 504}


def variable(service: str) -> str:
    """Return the variable that names a service's database, read-only."""
    return f"ORDERFLOW_AUDIT_{service.upper()}_URL"


def sources_of(deployment: Deployment, api: Api) -> Sources:
    """Return where to read this deployment; CommandError says which variable is missing."""
    return Sources(
        audit_urls=_audit_urls(deployment),
        accepted=accepted.read(deployment.data, deployment.name),
        provider_records=lambda: api.items(_RECORDS, limit=_PAGE),
        dead_letter_queues=(lambda: _dead_letter_queues(deployment)) if deployment.is_local else None,
        final_after_s=sum(deadlines()),
        consumers=lambda: consumers(deployment),
    )


def unreadable(deployment: Deployment, api: Api) -> dict[str, str]:
    """Return the invariants that cannot be read here and now, and why."""
    found = {}
    if not deployment.is_local:
        found[dead_letter_queues_are_emptied.name] = "only a local stack lets us look into RabbitMQ's queues"
    answer = api.answer("GET", f"{_RECORDS}?limit=1")
    if answer.status_code in _NO_RECORDS:
        found[payments_equal_the_providers_record.name] = f"the provider's books: {reason(answer)}"
    return found


def deadlines() -> tuple[float, float]:
    """Return the deadlines of stock and payment, as Orders reads them from its own environment."""
    from orders_svc.saga import Deadlines

    usual = Deadlines()
    return (
        _seconds("ORDERFLOW_STOCK_DEADLINE_S", usual.stock_s),
        _seconds("ORDERFLOW_PAYMENT_DEADLINE_S", usual.payment_s),
    )


def _audit_urls(deployment: Deployment) -> Mapping[str, str]:
    given = {service: os.environ.get(variable(service), "") for service in SERVICES}
    missing = [variable(service) for service, url in given.items() if not url]
    if not missing:
        return given
    if not deployment.is_local or len(missing) < len(SERVICES):
        raise CommandError(f"{missing[0]} is not set: check reads the four databases")
    from local_stack import client

    access = client.access(deployment.data)
    return {service: access.audit_url(service) for service in SERVICES}


def consumers(deployment: Deployment) -> dict[str, int] | None:
    """Return how many consumers each queue has; None if nobody can tell: only a local stack lets us look."""
    return _of_queues(deployment, "consumers") if deployment.is_local else None


def _dead_letter_queues(deployment: Deployment) -> dict[str, int] | None:
    depths = _of_queues(deployment, "messages")
    if depths is None:
        return None
    return {name: count for name, count in depths.items() if name.endswith(".dead")}


def _of_queues(deployment: Deployment, column: str) -> dict[str, int] | None:
    """Ask RabbitMQ's management API; None while it is away."""
    from local_stack import client, http

    url = client.access(deployment.data).management_url("flower")
    answer = http.get(f"{url}/api/queues/orderflow?columns=name,{column}", seconds=5)
    if answer is None or answer.status != 200:
        return None
    queues: list[dict[str, Any]] = json.loads(answer.body)
    return {each["name"]: each.get(column, 0) for each in queues}


def _seconds(name: str, usual: float) -> float:
    try:
        return float(os.environ.get(name) or usual)
    except ValueError as error:
        raise CommandError(f"{name} must be a number of seconds") from error
