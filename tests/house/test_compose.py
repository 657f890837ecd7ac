"""compose.yml: valid, and one system with the local stack. Nothing here needs a Docker engine."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_stack.access import Access
from local_stack.blueprint import Blueprint, names
from local_stack.state import DEFAULT_PORT, State
from orderflow_cli.names import ACCOUNTS, SERVERS, SERVICES

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
ONE_SHOTS = {"migrate", "seed"}
# Only the local stack needs them: there a process has no container that names it and keeps it together.
LOCAL_ONLY = {"ORDERFLOW_PROCESS_NAME", "ORDERFLOW_LEAVING_MARK"}
PROCESSES = names({})


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    subprocess.run(["sh", ROOT / "deploy" / "make-secrets.sh", folder], check=True)
    return folder


@pytest.fixture(scope="module")
def compose(secrets: Path) -> dict[str, Any]:
    """What Docker Compose makes of the file with an empty environment."""
    environment = {"PATH": os.environ["PATH"], "ORDERFLOW_SECRETS": str(secrets)}
    command = [str(BIN / "docker-compose"), "--env-file", "/dev/null", "config", "--format", "json"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


@pytest.fixture(scope="module")
def blueprint() -> Blueprint:
    access = Access(
        postgres_admin_url="postgresql://postgres:x@localhost:5432/postgres",
        rabbitmq_admin_url="http://admin:x@localhost:15672",
        redis_admin_url="redis://default:x@localhost:6379/0",
        amqp_address="localhost:5672",
        passwords=dict.fromkeys(ACCOUNTS, "x"),
    )
    return Blueprint(Path("/nowhere"), State(), access)


def variables(names: Any) -> set[str]:
    """The variables of ours, however they are given."""
    return {name.removesuffix("_FILE") for name in names if name.startswith("ORDERFLOW_")}


def seconds(duration: str) -> float:
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)([hms])", duration))


def test_compose_accepts_its_file(secrets: Path) -> None:
    environment = {**os.environ, "ORDERFLOW_SECRETS": str(secrets)}

    subprocess.run([BIN / "docker-compose", "config", "-q"], cwd=ROOT, env=environment, check=True)


def test_the_file_follows_the_compose_specification() -> None:
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "compose.yml"]

    subprocess.run(command, cwd=ROOT, check=True)


@pytest.mark.parametrize("file", ["deploy/Dockerfile", "deploy/stand-ins/Dockerfile"])
def test_hadolint_finds_nothing_in_the_dockerfiles(file: str) -> None:
    subprocess.run([BIN / "hadolint", file], cwd=ROOT, check=True)


def test_names_are_those_of_the_local_stack(services: dict[str, Any]) -> None:
    assert services.keys() - ONE_SHOTS == {*PROCESSES, *SERVERS, "gateway"}
    assert services.keys() >= ONE_SHOTS


def test_only_the_gateway_publishes_a_port_and_it_is_the_local_one(services: dict[str, Any]) -> None:
    published = {name: each["ports"] for name, each in services.items() if each.get("ports")}

    assert published.keys() == {"gateway"}
    (port,) = published["gateway"]
    assert (port["host_ip"], port["published"]) == ("127.0.0.1", str(DEFAULT_PORT))


@pytest.mark.parametrize("name", PROCESSES)
def test_variables_are_those_of_the_local_stack(
    name: str, services: dict[str, Any], blueprint: Blueprint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in variables(os.environ):
        monkeypatch.delenv(variable, raising=False)
    service = name.partition("-")[0]
    local = variables(blueprint._environment(name, service, name, 1)) - LOCAL_ONLY - {"ORDERFLOW_STACK"}

    here = variables(services[name].get("environment") or {})

    if name in {"flower", "provider-simulator"}:
        assert not here
    else:
        assert here >= local


@pytest.mark.parametrize("name", PROCESSES)
def test_commands_are_those_of_the_local_stack(
    name: str, services: dict[str, Any], blueprint: Blueprint
) -> None:
    local = [part for part in blueprint._command(name, 1)[2:] if not part.isdigit()]  # after `python -m`

    here = [part for part in services[name]["command"] if part not in {"python", "-m"}]

    if name.endswith("-api"):
        assert {"granian", f"{name.removesuffix('-api')}_svc.app:create_app"} <= {*local} & {*here}
    elif name == "flower":
        script = (ROOT / "deploy" / "flower" / "start.sh").read_text(encoding="utf-8")
        assert "celery -A shared_events.flower flower" in script
        assert "--url-prefix=flower" in local
        assert "--url-prefix=flower" in script
    else:
        assert here[0] == local[0]
        assert {part for part in local if part.startswith("-")} <= {*here}


def test_worker_sizes_are_those_of_the_local_stack(services: dict[str, Any], blueprint: Blueprint) -> None:
    for name in PROCESSES:
        if name.endswith(("-worker", "-executor")):
            assert services[name]["command"][-1] == blueprint._command(name, 1)[-1]


def test_the_gateway_gets_all_that_the_caddyfile_refers_to(services: dict[str, Any]) -> None:
    caddyfile = (ROOT / "deploy" / "gateway" / "Caddyfile").read_text(encoding="utf-8")
    start = (ROOT / "deploy" / "gateway" / "start.sh").read_text(encoding="utf-8")
    image = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    wanted = set(re.findall(r"\{\$([A-Z_]+)\}", caddyfile))

    given = {*services["gateway"]["environment"], *re.findall(r"^([A-Z_]+)=", start, re.MULTILINE)}
    given |= set(re.findall(r"\b([A-Z_]+)=", image))

    assert wanted <= given


def test_values_that_are_not_chosen_are_the_code_s_own(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from orders_svc.settings import Settings

    for variable in variables(os.environ):
        monkeypatch.delenv(variable, raising=False)
    usual = Settings.load()

    for name, value in services["orders-worker"]["environment"].items():
        monkeypatch.setenv(name, str(value))

    assert Settings.load() == usual


def test_every_process_waits_for_the_migrations(services: dict[str, Any]) -> None:
    for name in PROCESSES:
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully", name
    for server in SERVERS:
        assert services["migrate"]["depends_on"][server]["condition"] == "service_healthy"


def test_everything_that_runs_is_probed_by_one_script_without_spaces(services: dict[str, Any]) -> None:
    for name in services.keys() - ONE_SHOTS:
        kind, *command = services[name]["healthcheck"]["test"]
        assert kind == "CMD", name
        assert not any(" " in part for part in command), name


def test_everything_that_runs_is_confined(services: dict[str, Any]) -> None:
    for name, each in services.items():
        assert each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges:true"], name
        assert int(each["mem_limit"]) > 0, name
        assert not each.get("privileged"), name
        assert each["restart"] == ("no" if name in ONE_SHOTS else "unless-stopped"), name
        assert each.get("read_only") or name == "rabbitmq", name
    for server in SERVERS:
        assert services[server]["user"] == server


def test_the_images_of_ours_run_without_root() -> None:
    stages = re.split(
        r"^FROM ", (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    final = {stage.split()[2]: stage for stage in stages[1:]}

    for name in ("app", "gateway"):
        assert re.findall(r"^USER (\S+)", final[name], re.MULTILINE)[-1] == "10001:10001"


def test_a_stop_leaves_time_for_what_runs(services: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from shared_events.settings import time_limits

    monkeypatch.delenv("ORDERFLOW_HARD_LIMIT_S", raising=False)
    longest = max(time_limits())

    for name in PROCESSES:
        assert seconds(services[name]["stop_grace_period"]) > longest, name


def test_images_are_pinned(services: dict[str, Any]) -> None:
    dockerfile = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    foreign = [services[server]["image"] for server in SERVERS]
    foreign += re.findall(r"^FROM (\S+:\S+)", dockerfile, re.MULTILINE)

    assert len(foreign) == len(SERVERS) + 2
    for image in foreign:
        assert re.search(r":\d+\.\d+", image), image


def test_a_service_sees_its_own_secrets_only(services: dict[str, Any]) -> None:
    for name in PROCESSES:
        service = name.partition("-")[0]
        if service in SERVICES:
            granted = {secret["source"] for secret in services[name]["secrets"]}
            assert granted == {f"{service}_{server}_url" for server in ("database", "broker", "redis")}, name


def test_every_secret_that_is_named_is_granted_and_made(
    compose: dict[str, Any], services: dict[str, Any], secrets: Path
) -> None:
    for name, each in services.items():
        granted = {secret.get("target", secret["source"]) for secret in each.get("secrets") or ()}
        named = [value for value in (each.get("environment") or {}).values() if "/run/secrets/" in str(value)]
        assert {Path(value).name for value in named} <= {Path(target).name for target in granted}, name
    for secret in compose["secrets"].values():
        assert (secrets / Path(secret["file"]).name).stat().st_size, secret


def test_secrets_that_are_there_stay(secrets: Path) -> None:
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}

    subprocess.run(["sh", ROOT / "deploy" / "make-secrets.sh", secrets], check=True)

    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before


def test_the_example_environment_shows_every_choice_and_its_default() -> None:
    text = (ROOT / "compose.yml").read_text(encoding="utf-8")
    choices = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", text))

    shown = dict(
        re.findall(r"^#([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    )

    assert shown == choices


def test_the_image_holds_only_what_runs_in_production() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}

    assert "*" in lines
    assert not kept & {"local_stack", "chaos", "bench", "tests", "secrets", ".env"}
    assert kept >= {*(f"{service}_svc" for service in SERVICES), "shared_events", "shared_http", "migrations"}


def test_both_read_the_same_files(services: dict[str, Any]) -> None:
    image = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    mounted = [volume["source"] for volume in services["redis"]["volumes"] if volume["type"] == "bind"]

    assert "deploy/gateway/Caddyfile" in image
    assert str(ROOT / "deploy" / "redis") in mounted
    assert yaml.safe_load((ROOT / "compose.yml").read_text(encoding="utf-8"))["services"]["migrate"]["build"]
