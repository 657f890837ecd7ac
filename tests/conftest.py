"""Real servers for every test that wants them: started once per run, private, and gone at its end."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from local_stack.access import Access, new_passwords
from local_stack.servers import Servers


@dataclass(frozen=True)
class PrivateServers:
    """Running, provisioned servers: `servers` to stop, kill or pause one, `access` for every URL."""

    servers: Servers
    access: Access


class _ByServers(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Gives all tests that share servers, or a stack, to one process of the run; the others go where there is room."""

    def _split_scope(self, nodeid: str) -> str:
        folder = nodeid.split("/")[1]
        return folder if folder in {"system", "integration"} else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByServers:
    """Name the scheduler to pytest-xdist."""
    return _ByServers(config, log)


@pytest.fixture(scope="session")
def private_servers() -> Iterator[PrivateServers]:
    """PostgreSQL, Redis and RabbitMQ with databases, users, exchanges and queues; no tables yet."""
    data = Path(tempfile.mkdtemp(prefix="orderflow-test-"))
    data.chmod(0o711)  # the servers' account must be able to walk in
    servers = Servers(data)
    try:
        servers.start()
        access = Access.to(servers, new_passwords())
        access.provision()
        yield PrivateServers(servers, access)
    finally:
        servers.kill()
        shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(scope="session")
def servers(private_servers: PrivateServers) -> PrivateServers:
    """The private servers with all four databases migrated to head."""
    from orderflow_cli.migrate import migrate
    from orderflow_cli.names import SERVICES

    migrate({service: private_servers.access.database_url(service) for service in SERVICES})
    return private_servers
