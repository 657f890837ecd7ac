"""What a run was made on: figures of two machines, or of two versions, are not to be compared."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from bench.place import Place

_PACKAGES = ("celery", "flask", "granian", "psycopg", "sqlalchemy", "dbos", "faststream")
_NOT_SETTINGS = ("ORDERFLOW_DATA", "ORDERFLOW_URL", "ORDERFLOW_TOKEN", "ORDERFLOW_STACK")
_SECRET = ("PASSWORD", "SECRET", "URL", "TOKEN")


def about(place: Place) -> dict[str, Any]:
    """Return the cores, the versions, and the settings that the environment gave instead of the defaults."""
    with psycopg.connect(place.access.postgres_admin_url) as database:
        number = database.info.server_version
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _cpu(),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "postgres": f"{number // 10_000}.{number % 10_000}",
        "packages": {name: version(name) for name in _PACKAGES},
        "settings": settings(os.environ),
    }


def settings(environment: Any) -> dict[str, str]:
    """Return the variables of ours that are set, but for those that name a place or hold a secret."""
    return {
        name: value
        for name, value in sorted(environment.items())
        if name.startswith("ORDERFLOW_")
        and name not in _NOT_SETTINGS
        and not any(word in name for word in _SECRET)
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
