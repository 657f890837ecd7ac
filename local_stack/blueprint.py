"""The processes of a stack: their names, roles, commands and environments (docs/environment.md)."""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local_stack import fault_proxy, http
from local_stack.access import Access
from local_stack.errors import StackError
from local_stack.gateway import basic
from local_stack.process import Process
from local_stack.state import State
from local_stack.unit import Probe, Unit
from orderflow_cli import dev_key
from orderflow_cli.names import SERVICES

ROOT = Path(__file__).resolve().parents[1]
OPS_USER = "ops"
SCALABLE = (*(f"{service}-{kind}" for service in SERVICES for kind in ("api", "worker", "relay")),
            "payments-executor")  # fmt: skip
SINGLE = ("provider-simulator", "flower")
_CONCURRENCY = {"worker": 1, "executor": 1}
_THREADS = 8
_TASKS_IN_FLOWER = 10_000
_MOST = 32
_NAME = re.compile(r"(?P<base>[a-z]+-[a-z]+?)(?:-(?P<number>\d+))?")


def names(scale: Mapping[str, int]) -> list[str]:
    """Return the names of all processes of our own in a stack of this size."""
    scaled = [numbered(base, n) for base in SCALABLE for n in range(1, scale.get(base, 1) + 1)]
    return [*SINGLE, *scaled]


def numbered(base: str, number: int) -> str:
    """Return the name of the first, second, … process of a kind."""
    return base if number == 1 else f"{base}-{number}"


def base_of(name: str) -> str:
    """Return what a process is one of: `orders-worker` for `orders-worker-2`."""
    match = _NAME.fullmatch(name)
    return match["base"] if match else name


def check_scale(scale: Mapping[str, int]) -> None:
    """Refuse what cannot be scaled, or not so."""
    for base, count in scale.items():
        if base not in SCALABLE:
            raise StackError(f"{base} cannot be scaled; these can: {', '.join(SCALABLE)}")
        if not 1 <= count <= _MOST:
            raise StackError(f"{base}={count}: choose 1 to {_MOST} (`stop` ends all)")


def api_command(factory: str, port: int) -> list[str]:
    """Return the command of an API process: `factory` is `module:function` and returns its WSGI application."""
    return _python(
        "granian", "--interface", "wsgi", "--factory", factory,
        "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--blocking-threads", str(_THREADS), "--respawn-failed-workers", "--no-ws",
        "--log-level", "error",
    )  # fmt: skip


@dataclass
class Blueprint:
    """Makes the units of a stack from what it knows of its ports, servers and sizes.

    `clocks`: processes that are to run with a clock that is so many seconds off, from their next start on.
    """

    data: Path
    state: State
    access: Access
    clocks: dict[str, float] = field(default_factory=dict)

    def unit(self, name: str) -> Unit:
        """Return the unit of this name, not yet started."""
        base = base_of(name)
        service, _, kind = base.partition("-")
        role = {"executor": "worker", "simulator": "server", "proxy": "server"}.get(kind, kind) or "flower"
        port = self.state.port_of(name)
        process = Process(
            name=name, argv=[], environment={}, log=self.data / "logs" / f"{name}.log", directory=ROOT
        )
        process.grace_s = 10.0 if role in {"relay", "flower", "server"} else 30.0

        def launch() -> None:
            leaving_mark(self.data, port).unlink(missing_ok=True)
            process.argv = _off_clock(self._command(base, port), self.clocks.get(name))
            process.environment = self._environment(name, service, base, port)
            process.spawn()

        return Unit(name, role, f"127.0.0.1:{port}", process, launch, _probe(base, port))

    def gateway_variables(self, apis: Mapping[str, list[str]]) -> dict[str, str]:
        """Return what the Caddyfile refers to, given the addresses of each service's APIs."""
        upstreams = {f"{service.upper()}_UPSTREAMS": " ".join(found) for service, found in apis.items()}
        management = self.access.management_url("flower").rpartition("@")[2]
        return upstreams | {
            "FLOWER_UPSTREAM": " ".join(self.state.addresses("flower")),
            "RABBITMQ_UPSTREAM": management,
            "RABBITMQ_AUTHORIZATION": basic("flower", self.access.passwords["flower"]),
            "OPS_USER": OPS_USER,
            "OPS_PASSWORD_HASH": self.state.ops_password_hash,
        }

    def _command(self, base: str, port: int) -> list[str]:
        service, _, kind = base.partition("-")
        if kind == "api":
            return api_command(f"{service}_svc.app:create_app", port)
        if kind in _CONCURRENCY:
            chosen = self.state.concurrency if kind == "worker" else None
            count = str(chosen or _CONCURRENCY[kind])
            return _python("celery", "-A", f"{service}_svc.{kind}", "worker", "--concurrency", count)
        if kind == "relay":
            return _python("shared_events.relay")
        if base == "flower":
            return _python(
                "celery", "-A", "shared_events.flower", "flower", "--address=127.0.0.1", f"--port={port}",
                "--url-prefix=flower", f"--max-tasks={_TASKS_IN_FLOWER}",
            )  # fmt: skip
        if base == fault_proxy.NAME:
            return _python(fault_proxy.MODULE, *fault_proxy.arguments(self.access, self.state, port))
        store = str(self.data / "provider-simulator.db")
        where = ("--host", "127.0.0.1", "--port", str(port))
        return _python("provider_simulator", *where, "--store", store)

    def _environment(self, name: str, service: str, base: str, port: int) -> dict[str, str]:
        environment = {
            **os.environ,
            "ORDERFLOW_PROCESS_NAME": name,
            "PYTHONUNBUFFERED": "1",
        }
        environment.setdefault("ORDERFLOW_LOG_FORMAT", "json")
        if base == "flower":
            return environment | {
                "CELERY_BROKER_URL": self.access.broker_url("flower"),
                "FLOWER_BASIC_AUTH": f"{OPS_USER}:{self.state.ops_password}",
                "FLOWER_BROKER_API": f"{self.access.management_url('flower')}/api/",
                "FLOWER_ENABLE_EVENTS": "false",  # workers send them unasked; remote control is off
            }
        if service not in SERVICES:
            return environment
        environment |= fault_proxy.access_of(service, self.access, self.state).environment(service)
        environment |= {
            "ORDERFLOW_JWT_ISSUER": dev_key.ISSUER,
            "ORDERFLOW_JWT_AUDIENCE": dev_key.AUDIENCE,
            "ORDERFLOW_JWKS_URL": dev_key.jwks_file(self.data).as_uri(),
            "ORDERFLOW_PROVIDER_URL": fault_proxy.provider_url(self.state),
        }
        environment.setdefault("ORDERFLOW_OPEN_REGISTRATION", "true")
        if base.endswith("-api"):
            environment["ORDERFLOW_LEAVING_MARK"] = str(leaving_mark(self.data, port))
        else:
            environment["ORDERFLOW_PROBE_ADDRESS"] = f"127.0.0.1:{port}"
        return environment


def leaving_mark(data: Path, port: int) -> Path:
    """Return the file that tells the API on this port to say that it is leaving."""
    return data / "leaving" / str(port)


def _off_clock(command: list[str], seconds: float | None) -> list[str]:
    """Return `python -m MODULE …` so that it runs with its clock so many seconds off."""
    python, flag, *rest = command
    return [python, flag, "orderflow_cli.chaos.off_clock", str(seconds), *rest] if seconds else command


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _probe(base: str, port: int) -> Probe:
    path = "/flower/healthcheck" if base == "flower" else "/health/ready"
    url = f"http://127.0.0.1:{port}{path}"

    def probe() -> str | None:
        answer = http.get(url)
        if answer is None or answer.status != 200:
            return None
        return "degraded" if _status(answer.body) == "degraded" else "ready"

    return probe


def _status(body: bytes) -> str:
    try:
        document = json.loads(body)
    except ValueError:
        return ""
    return str(document.get("status", "")) if isinstance(document, dict) else ""
