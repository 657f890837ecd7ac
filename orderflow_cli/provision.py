"""Make the servers ready for Orderflow: databases and roles, RabbitMQ's shape and users, Redis's users.

A plain function over administrators' URLs and passwords: the local stack, the tests and compose's one-shot
`migrate` all call it. It may run again and again, also while the system runs.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
import psycopg
import redis
from psycopg import sql

from orderflow_cli.errors import CommandError
from orderflow_cli.names import ACCOUNTS, SERVICES

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
VHOST = "orderflow"
# What a service may do with its own keys: nothing that looks at, or flushes, anybody else's.
_REDIS_COMMANDS = (
    "-@all", "+@read", "+@write", "+@connection", "+@transaction", "+@scripting",
    "-@dangerous", "-@admin", "-scan", "-randomkey", "-dbsize",
)  # fmt: skip


def provision(
    *,
    postgres_url: str,
    rabbitmq_url: str,
    redis_url: str,
    passwords: Mapping[str, str],
    deploy: Path = DEPLOY,
) -> None:
    """Make all three servers ready; CommandError names the one that refused, and why.

    `rabbitmq_url` is that of the management API (http://admin:…@host:15672). `passwords` has one for each of
    ACCOUNTS: the same party has the same password on every server.
    """
    absent = [account for account in ACCOUNTS if not passwords.get(account)]
    if absent:
        raise CommandError(f"no password given for {', '.join(absent)}")
    provision_postgres(postgres_url, passwords, deploy / "postgres" / "roles.sql")
    provision_rabbitmq(rabbitmq_url, passwords, deploy / "rabbitmq" / "definitions.json")
    provision_redis(redis_url, passwords)


def provision_postgres(
    admin_url: str, passwords: Mapping[str, str], roles: Path, services: Sequence[str] = SERVICES
) -> None:
    """Apply roles.sql for each service and set the roles' passwords."""
    intro, as_admin, create, inside = _parts(roles.read_text(encoding="utf-8"))
    del intro
    try:
        with psycopg.connect(admin_url, autocommit=True, connect_timeout=5) as connection:
            # Whoever may log in may otherwise look into every database that says nothing about it.
            for database in ("postgres", "template1"):
                connection.execute(
                    sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database))
                )
            for service in services:
                connection.execute(_for(service, as_admin))
                _set_role_passwords(connection, service, passwords)
                if not _has_database(connection, service):
                    connection.execute(_for(service, create))
        for service in services:
            with psycopg.connect(admin_url, dbname=service, autocommit=True, connect_timeout=5) as connection:
                connection.execute(_for(service, inside))
    except psycopg.Error as error:
        raise CommandError(f"PostgreSQL at {_where(admin_url)}: {_first_line(error)}") from error


def provision_rabbitmq(admin_url: str, passwords: Mapping[str, str], definitions: Path) -> None:
    """Make the virtual host and the users, then import all else from the definitions."""
    import_definitions(admin_url, passwords, json.loads(definitions.read_text(encoding="utf-8")))


def import_definitions(admin_url: str, passwords: Mapping[str, str], document: Mapping[str, Any]) -> None:
    """Make the users of a definitions document, then all else in it."""
    document = dict(document)
    users = document.pop("users", [])
    with _management(admin_url) as api:
        try:
            _ask(api, "PUT", f"/api/vhosts/{quote(VHOST, safe='')}", {})
            for user in users:
                _ask(
                    api, "PUT", f"/api/users/{quote(user['name'], safe='')}", _rabbitmq_user(user, passwords)
                )
            _ask(api, "POST", "/api/definitions", document)
        except httpx2.HTTPError as error:
            raise CommandError(f"RabbitMQ at {_where(admin_url)}: {_first_line(error)}") from error


def provision_redis(admin_url: str, passwords: Mapping[str, str], services: Sequence[str] = SERVICES) -> None:
    """Make a user for each service that reaches only keys and channels under its own name."""
    try:
        with redis.Redis.from_url(admin_url, socket_timeout=5) as client:
            for service in services:
                digest = hashlib.sha256(passwords[service].encode()).hexdigest()
                rules = ["reset", "on", f"#{digest}", f"~{service}:*", f"&{service}:*", *_REDIS_COMMANDS]
                client.execute_command("ACL", "SETUSER", service, *rules)
            if client.config_get("aclfile").get("aclfile"):
                client.execute_command("ACL", "SAVE")
    except redis.RedisError as error:
        raise CommandError(f"Redis at {_where(admin_url)}: {_first_line(error)}") from error


def _parts(text: str) -> list[str]:
    """Split roles.sql at its headings (`-- in …`, `-- unless …`)."""
    parts: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith(("-- in ", "-- unless ")):
            parts.append([])
        parts[-1].append(line)
    return ["\n".join(part) for part in parts]


def _for(service: str, statements: str) -> sql.SQL:
    # `service` is one of our own constants.
    return sql.SQL(statements.replace(":service", service))


def _has_database(connection: psycopg.Connection[Any], name: str) -> bool:
    found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
    return found is not None


def _set_role_passwords(
    connection: psycopg.Connection[Any], service: str, passwords: Mapping[str, str]
) -> None:
    for role in (service, f"{service}_audit"):
        # Hashed here, so that the server's log never sees the password itself.
        secret = connection.pgconn.encrypt_password(
            passwords[role].encode(), role.encode(), b"scram-sha-256"
        ).decode()
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(secret))
        connection.execute(statement)


def _rabbitmq_user(user: Mapping[str, Any], passwords: Mapping[str, str]) -> dict[str, str]:
    if user["name"] not in passwords:
        raise CommandError(f"no password given for {user['name']}")
    salt = secrets.token_bytes(4)
    digest = hashlib.sha256(salt + passwords[user["name"]].encode()).digest()
    return {
        "password_hash": base64.b64encode(salt + digest).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": user["tags"],
    }


def _management(admin_url: str) -> httpx2.Client:
    parts = urlsplit(admin_url)
    base = f"{parts.scheme}://{_where(admin_url)}{parts.path.rstrip('/')}"
    return httpx2.Client(base_url=base, auth=(parts.username or "", parts.password or ""), timeout=30)


def _ask(api: httpx2.Client, method: str, path: str, body: Mapping[str, Any]) -> None:
    response = api.request(method, path, json=body)
    if response.is_error:
        reason = response.text.strip() or response.reason_phrase
        raise CommandError(f"RabbitMQ refused {method} {path}: {response.status_code} {reason}")


def _where(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
