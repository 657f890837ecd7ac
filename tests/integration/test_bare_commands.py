"""The ecosystem's own commands start every process, exactly as documented, with only the documented variables."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local_stack.http import get
from local_stack.ports import free_port
from local_stack.process import Process

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SERVICES = ("orders", "inventory", "customers", "payments")
WORKERS = (*(f"{service}_svc.worker" for service in SERVICES), "payments_svc.executor")
LEAST = {"PATH": f"{BIN}:{os.environ['PATH']}", "LANG": "C.UTF-8"}
HTTP = {
    "ORDERFLOW_JWT_ISSUER": "https://issuer.test",
    "ORDERFLOW_JWT_AUDIENCE": "orderflow",
    "ORDERFLOW_JWKS_URL": "file:///nowhere/jwks.json",
}


def environment(servers: Any, service: str) -> dict[str, str]:
    """Return what every process of a service needs, and nothing else."""
    provider = {"ORDERFLOW_PROVIDER_URL": "http://127.0.0.1:1"} if service == "payments" else {}
    return {**LEAST, **servers.access.environment(service), **provider}


def run(command: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, from the root of the checkout."""
    return subprocess.run(
        shlex.split(command), env=variables, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@contextmanager
def running(command: str, variables: dict[str, str], log: Path) -> Iterator[Process]:
    """Start a command, and end it by SIGTERM: it must go by itself, and without an error."""
    process = Process(name="bare", argv=shlex.split(command), environment=variables, log=log, directory=ROOT)
    process.spawn()
    try:
        yield process
        process.terminate()
        assert process.wait(15), process.last_words()
        assert process.exit_code == 0, log.read_text()[-2000:]
    finally:
        process.kill()


def seen(process: Process, words: str) -> None:
    """Wait until the process has printed these words."""
    until = time.monotonic() + 30
    while words not in process.log.read_text():
        assert process.alive(), process.log.read_text()[-2000:]
        assert time.monotonic() < until, process.log.read_text()[-2000:]
        time.sleep(0.1)


def answered(url: str) -> None:
    """Wait until an address answers 200."""
    until = time.monotonic() + 30
    while (answer := get(url)) is None or answer.status != 200:
        assert time.monotonic() < until, answer
        time.sleep(0.1)


@pytest.mark.parametrize("module", WORKERS)
def test_celery_starts_a_worker(servers: Any, tmp_path: Path, module: str) -> None:
    service = module.partition("_")[0]
    port = free_port()
    variables = environment(servers, service) | {"ORDERFLOW_PROBE_ADDRESS": f"127.0.0.1:{port}"}

    with running(f"celery -A {module} worker --concurrency 1", variables, tmp_path / "log"):
        answered(f"http://127.0.0.1:{port}/health/ready")
        assert "orderflow_messages" in httpx2.get(f"http://127.0.0.1:{port}/metrics").text


def test_celery_starts_the_documented_worker(servers: Any, tmp_path: Path) -> None:
    command = "celery -A orders_svc.worker worker --concurrency 4"

    with running(command, environment(servers, "orders"), tmp_path / "log") as process:
        seen(process, "ready")


@pytest.mark.parametrize("service", SERVICES)
def test_gunicorn_serves_an_api(servers: Any, tmp_path: Path, service: str) -> None:
    port = free_port()
    variables = environment(servers, service) | HTTP | {"PORT": str(port)}  # gunicorn's own variable

    with running(f"gunicorn '{service}_svc.app:create_app()'", variables, tmp_path / "log"):
        answered(f"http://127.0.0.1:{port}/health/ready")


@pytest.mark.parametrize("service", SERVICES)
def test_flask_lists_the_routes(servers: Any, service: str) -> None:
    done = run(f"flask --app {service}_svc.app routes", environment(servers, service) | HTTP)

    assert done.returncode == 0, done.stderr
    assert "/health/ready" in done.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_alembic_migrates(servers: Any, service: str) -> None:
    variables = LEAST | {"ORDERFLOW_DATABASE_URL": servers.access.database_url(service)}

    done = run(f"alembic -c migrations/alembic.ini -n {service} upgrade head", variables)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_python_starts_a_relay(servers: Any, tmp_path: Path, service: str) -> None:
    port = free_port()
    variables = environment(servers, service) | {"ORDERFLOW_PROBE_ADDRESS": f"127.0.0.1:{port}"}
    del variables["ORDERFLOW_REDIS_URL"]  # a relay needs none

    with running("python -m shared_events.relay", variables, tmp_path / "log"):
        answered(f"http://127.0.0.1:{port}/health/ready")
        assert "orderflow_outbox_due" in httpx2.get(f"http://127.0.0.1:{port}/metrics").text


@pytest.mark.parametrize(
    ("command", "variable", "value"),
    [
        ("celery -A orders_svc.worker worker", "ORDERFLOW_REDIS_URL", None),
        ("celery -A orders_svc.worker worker", "ORDERFLOW_BROKER_URL", "http://elsewhere"),
        ("celery -A orders_svc.worker worker", "ORDERFLOW_STOCK_DEADLINE_S", "soon"),
        ("celery -A inventory_svc.worker worker", "ORDERFLOW_RETRY_TIERS_S", "7"),
        ("celery -A inventory_svc.worker worker", "ORDERFLOW_SOFT_LIMIT_S", "-1"),
        ("celery -A payments_svc.executor worker", "ORDERFLOW_PAYMENT_PROVIDER", "nowhere:Nothing"),
        ("gunicorn 'orders_svc.app:create_app()'", "ORDERFLOW_JWKS_URL", None),
        ("gunicorn 'orders_svc.app:create_app()'", "ORDERFLOW_MAX_OUTBOX_ROWS", "many"),
        ("flask --app customers_svc.app routes", "ORDERFLOW_OPEN_REGISTRATION", "perhaps"),
        ("python -m shared_events.relay", "ORDERFLOW_DATABASE_URL", None),
        ("python -m shared_events.relay", "ORDERFLOW_BROKER_URL", "amqp://localhost/orderflow"),
    ],
)
def test_a_wrong_variable_is_named_and_nothing_starts(
    servers: Any, command: str, variable: str, value: str | None
) -> None:
    service = next((each for each in SERVICES if each in command), "orders")
    variables = environment(servers, service) | HTTP
    variables.pop(variable, None)

    done = run(command, variables | ({variable: value} if value else {}))

    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("orderflow: ")]
    assert len(said) == 1, done.stderr
    assert variable in said[0]
    assert "Traceback" not in done.stderr
    assert done.returncode == (4 if command.startswith("gunicorn") else 2)
