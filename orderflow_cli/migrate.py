"""`orderflow migrate`: bring the four databases to the newest schema."""

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from orderflow_cli.errors import CommandError
from orderflow_cli.names import ACCOUNTS, SERVICES
from orderflow_cli.options import ROOT, data_option
from shared_events import environment


@click.command()
@click.option(
    "--check", is_flag=True, help="Change nothing; exit 1 if a database is not at the newest schema."
)
@data_option
def command(check: bool, data: Path) -> None:
    """Bring all four databases to the newest schema.

    Those of the local stack; or, where ORDERFLOW_POSTGRES_ADMIN_URL, ORDERFLOW_RABBITMQ_ADMIN_URL,
    ORDERFLOW_REDIS_ADMIN_URL and an ORDERFLOW_PASSWORD_… for each account are set (each also as …_FILE), those
    servers, which are provided with databases, users and queues first.
    """
    try:
        urls = _deployment(check=check) if _in_deployment() else _local(data)
    except environment.BadSetting as error:
        raise CommandError(str(error)) from error
    migrate(urls, check=check)
    click.echo("all four databases are at the newest schema")


def migrate(database_urls: Mapping[str, str], *, check: bool = False) -> None:
    """Upgrade each service's database to head, all at once; with `check` only see that each is there.

    CommandError names the first service whose migrations failed.
    """
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda item: _alembic(*item, check=check), database_urls.items()))


def _in_deployment() -> bool:
    return any(os.environ.get(f"ORDERFLOW_PASSWORD_ORDERS{suffix}") for suffix in ("", "_FILE"))


def _deployment(*, check: bool) -> dict[str, str]:
    """Provision servers that somebody else runs (compose, Kubernetes), and return the owners' URLs."""
    from urllib.parse import quote, urlsplit

    from orderflow_cli.provision import provision

    passwords = {account: environment.text(f"ORDERFLOW_PASSWORD_{account.upper()}") for account in ACCOUNTS}
    postgres_url = environment.url("ORDERFLOW_POSTGRES_ADMIN_URL", "postgresql")
    if not check:
        provision(
            postgres_url=postgres_url,
            rabbitmq_url=environment.url("ORDERFLOW_RABBITMQ_ADMIN_URL", "http", "https"),
            redis_url=environment.url("ORDERFLOW_REDIS_ADMIN_URL", "redis", "rediss"),
            passwords=passwords,
        )
    place = urlsplit(postgres_url).netloc.rpartition("@")[2]
    return {
        service: f"postgresql://{service}:{quote(passwords[service], safe='')}@{place}/{service}"
        for service in SERVICES
    }


def _local(data: Path) -> dict[str, str]:
    from local_stack import client

    access = client.access(data)
    return {service: access.database_url(service) for service in SERVICES}


def _alembic(service: str, url: str, *, check: bool) -> None:
    action = ["current", "--check-heads"] if check else ["upgrade", "head"]
    result = subprocess.run(  # noqa: S603 - fixed command
        [sys.executable, "-m", "alembic", "-c", "migrations/alembic.ini", "-n", service, *action],
        cwd=ROOT,
        env={**os.environ, "ORDERFLOW_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines() or ["no reason given"]
        what = "is not at the newest schema" if check else "migration failed"
        raise CommandError(f"{service}: {what}: {lines[-1]}")
