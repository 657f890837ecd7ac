"""Servers that somebody else runs, given by their administrators' URLs."""

import json
import os
from urllib.parse import urlsplit

from local_stack import http
from local_stack.errors import StackError

VARIABLES = {
    "postgres": "ORDERFLOW_POSTGRES_ADMIN_URL",
    "rabbitmq": "ORDERFLOW_RABBITMQ_ADMIN_URL",
    "redis": "ORDERFLOW_REDIS_ADMIN_URL",
}
_SCHEMES = {"postgres": ("postgresql",), "rabbitmq": ("http",), "redis": ("redis", "rediss")}


def servers() -> dict[str, str]:
    """Return the URL of each server that the environment gives."""
    found = {name: os.environ[variable] for name, variable in VARIABLES.items() if os.environ.get(variable)}
    for name, url in found.items():
        if urlsplit(url).scheme not in _SCHEMES[name]:
            expected = " or ".join(f"{scheme}://" for scheme in _SCHEMES[name])
            raise StackError(f"{VARIABLES[name]} must begin with {expected}")
    return found


def amqp_address(management_url: str) -> str:
    """Return where a RabbitMQ speaks AMQP, asked of its management API."""
    answer = http.get(f"{management_url.rstrip('/')}/api/overview", seconds=5)
    if answer is None or answer.status != 200:
        said = "no answer" if answer is None else f"status {answer.status}"
        raise StackError(f"{VARIABLES['rabbitmq']}: {said} from its management API")
    listeners = json.loads(answer.body).get("listeners", [])
    ports = [listener["port"] for listener in listeners if listener.get("protocol") == "amqp"]
    if not ports:
        raise StackError(f"{VARIABLES['rabbitmq']}: this RabbitMQ listens nowhere for AMQP")
    return f"{urlsplit(management_url).hostname}:{ports[0]}"
