"""The fault proxy in a stack that was started for `chaos`: which routes it has, and whom it stands before.

Every process of a service then reaches PostgreSQL, RabbitMQ, Redis and the payment provider through a route of
its service's own. Tools, migrations and the supervisor's probes go straight to the servers.
"""

from dataclasses import replace
from urllib.parse import urlsplit

from local_stack.access import Access
from local_stack.state import State
from orderflow_cli.names import SERVERS, SERVICES

NAME = "fault-proxy"
MODULE = "orderflow_cli.chaos.proxy"
PROVIDER = "payments-provider"
ROUTES = (*(f"{service}-{server}" for service in SERVICES for server in SERVERS), PROVIDER)


def choose_ports(state: State) -> None:
    """Have a port for each route, before the processes that are told of them start."""
    for name in ROUTES:
        state.port_of(f"{NAME}-{name}")


def arguments(access: Access, state: State, control_port: int) -> list[str]:
    """Return the proxy's command line."""
    targets = {PROVIDER: f"127.0.0.1:{state.port_of('provider-simulator')}"}
    addresses = {
        "postgres": _host(access.postgres_admin_url),
        "rabbitmq": access.amqp_address,
        "redis": _host(access.redis_admin_url),
    }
    targets |= {f"{service}-{server}": addresses[server] for service in SERVICES for server in SERVERS}
    routes = [f"--route={name}={state.port_of(f'{NAME}-{name}')}:{targets[name]}" for name in ROUTES]
    return ["--control", str(control_port), *routes]


def provider_url(state: State) -> str:
    """Return where Payments finds the provider: at the proxy, or itself."""
    name = f"{NAME}-{PROVIDER}" if state.faulty else "provider-simulator"
    return f"http://127.0.0.1:{state.port_of(name)}"


def access_of(service: str, access: Access, state: State) -> Access:
    """Return a service's ways into the servers: through the proxy, if there is one."""
    if not state.faulty:
        return access
    via = {server: f"127.0.0.1:{state.port_of(f'{NAME}-{service}-{server}')}" for server in SERVERS}
    return replace(
        access,
        postgres_admin_url=_at(access.postgres_admin_url, via["postgres"]),
        redis_admin_url=_at(access.redis_admin_url, via["redis"]),
        amqp_address=via["rabbitmq"],
    )


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _at(url: str, address: str) -> str:
    parts = urlsplit(url)
    who, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{who}{at}{address}").geturl()
