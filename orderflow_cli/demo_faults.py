"""What the demo does to a local stack while orders arrive."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from local_stack import client

SERVICE = "inventory"
_WORKER = "orders-worker"


def kill_worker(data: Path) -> str:
    """Kill a worker as a crash would; the supervisor starts it again. Return what was done, in words."""
    found = next((each for each in client.processes(data) if each["name"] == _WORKER and each["pid"]), None)
    if found is None:
        return f"{_WORKER} does not run, so it was not killed"
    with suppress(ProcessLookupError):
        os.kill(found["pid"], signal.SIGKILL)
    return f"kill -9 {_WORKER} (process {found['pid']})"


def stop_service(data: Path) -> None:
    """Stop everything of Inventory and wait until it has stopped."""
    client.act(data, "stop", [SERVICE])


def start_service(data: Path) -> None:
    """Start it again and wait until it is ready."""
    client.act(data, "start", [SERVICE])
