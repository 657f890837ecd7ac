"""Each service's credentials open its own data and queues, and are refused everywhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import permutations
from typing import Any

import amqp
import psycopg
import pytest
import redis

from shared_events.contract import CONTRACTS, Timer
from shared_events.publisher import connect

SERVICES = ("orders", "inventory", "customers", "payments")
PAIRS = list(permutations(SERVICES, 2))
TABLE = "idempotency_keys"


@contextmanager
def channel_of(servers: Any, user: str) -> Iterator[Any]:
    connection = connect(servers.access.broker_url(user))
    try:
        yield connection.channel()
    finally:
        connection.collect()


def refused(servers: Any, user: str, act: Any) -> None:
    """Fail unless RabbitMQ refuses what `act` does with a fresh channel."""
    with channel_of(servers, user) as channel, pytest.raises(amqp.AccessRefused):
        act(channel)


def published(channel: Any, exchange: str, routing_key: str, user: str) -> None:
    channel.confirm_select()
    channel.basic_publish_confirm(
        amqp.Message("{}", user_id=user), exchange=exchange, routing_key=routing_key
    )


@pytest.mark.parametrize(("service", "other"), PAIRS)
def test_a_database_role_opens_no_other_database(servers: Any, service: str, other: str) -> None:
    for url in (servers.access.database_url(service), servers.access.audit_url(service)):
        elsewhere = url.rpartition("/")[0]
        for database in (other, "postgres", "template1"):
            with pytest.raises(psycopg.OperationalError, match=r"permission denied|not currently accepting"):
                psycopg.connect(f"{elsewhere}/{database}", connect_timeout=5)


@pytest.mark.parametrize("service", SERVICES)
def test_the_audit_role_reads_and_changes_nothing(servers: Any, service: str) -> None:
    with psycopg.connect(servers.access.audit_url(service), autocommit=True) as connection:
        assert connection.execute(f"SELECT count(*) FROM {TABLE}").fetchone() is not None
        for statement in (f"DELETE FROM {TABLE}", "UPDATE outbox SET type = ''", "CREATE TABLE mine (a int)"):
            connection.execute("SET default_transaction_read_only = off")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_s_role_is_no_administrator(servers: Any, service: str) -> None:
    with psycopg.connect(servers.access.database_url(service), autocommit=True) as connection:
        for statement in ("CREATE DATABASE mine", "CREATE ROLE mine", "COPY outbox TO PROGRAM 'true'"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize(("service", "other"), PAIRS)
def test_a_rabbitmq_user_reaches_no_other_queue(servers: Any, service: str, other: str) -> None:
    for queue in (other, f"{other}.dead", f"{other}.retry.1s"):
        refused(servers, service, lambda channel, queue=queue: channel.basic_consume(queue))
        refused(servers, service, lambda channel, queue=queue: channel.basic_get(queue))
        refused(servers, service, lambda channel, queue=queue: channel.queue_purge(queue))
        refused(servers, service, lambda channel, queue=queue: channel.queue_delete(queue))
    refused(servers, service, lambda channel: channel.queue_bind(other, "messages", "orders.order_created"))
    refused(servers, service, lambda channel: channel.queue_bind(service, f"{other}.x", "work"))
    refused(servers, service, lambda channel: channel.exchange_delete(f"{other}.x"))
    refused(servers, service, lambda channel: published(channel, f"{other}.x", "work", service))


@pytest.mark.parametrize("service", SERVICES)
def test_a_rabbitmq_user_touches_nothing_that_all_share(servers: Any, service: str) -> None:
    """Above all not the default exchange, by which anybody could write into any queue."""
    refused(servers, service, lambda channel: published(channel, "", "orders", service))
    refused(servers, service, lambda channel: published(channel, "amq.topic", "orders", service))
    refused(servers, service, lambda channel: channel.exchange_declare("messages", "topic", passive=False))
    refused(servers, service, lambda channel: channel.exchange_delete("messages"))
    refused(servers, service, lambda channel: channel.queue_declare("mine"))
    refused(servers, service, lambda channel: channel.queue_bind(service, "celeryev", "#"))


@pytest.mark.parametrize("service", SERVICES)
def test_a_rabbitmq_user_publishes_and_binds_only_by_contract(servers: Any, service: str) -> None:
    for its in CONTRACTS.values():
        if its.sent_by != service or its.kind is Timer:
            refused(servers, service, lambda channel, t=its.type: published(channel, "messages", t, service))
    for wildcard in ("#", "*.*", "orders.#"):
        refused(servers, service, lambda channel, key=wildcard: channel.queue_bind(service, "messages", key))


@pytest.mark.parametrize(("service", "other"), PAIRS)
def test_nobody_can_publish_in_another_s_name(servers: Any, service: str, other: str) -> None:
    with channel_of(servers, service) as channel, pytest.raises(amqp.PreconditionFailed):
        published(channel, f"{service}.x", "nobody", other)


def test_flower_sees_events_and_takes_no_message(servers: Any) -> None:
    for service in SERVICES:
        refused(servers, "flower", lambda channel, queue=service: channel.basic_get(queue))
        refused(
            servers,
            "flower",
            lambda channel, exchange=f"{service}.x": published(channel, exchange, "work", "flower"),
        )
    refused(
        servers, "flower", lambda channel: published(channel, "messages", "orders.order_created", "flower")
    )


@pytest.mark.parametrize(("service", "other"), PAIRS)
def test_a_redis_user_reaches_no_other_keys(servers: Any, service: str, other: str) -> None:
    with redis.Redis.from_url(servers.access.redis_url(service)) as client:
        client.set(f"{service}:mine", "1", ex=5)
        for act in (
            lambda: client.get(f"{other}:key"),
            lambda: client.set(f"{other}:key", "1"),
            lambda: client.delete(f"{other}:key"),
            lambda: client.eval("return redis.call('get', KEYS[1])", 1, f"{other}:key"),
            lambda: client.publish(f"{other}:channel", "1"),
        ):
            with pytest.raises(redis.exceptions.ResponseError, match=r"(?i)noperm|permission"):
                act()


@pytest.mark.parametrize("service", SERVICES)
def test_a_redis_user_administers_nothing(servers: Any, service: str) -> None:
    with redis.Redis.from_url(servers.access.redis_url(service)) as client:
        for command in ("FLUSHALL", "FLUSHDB", "KEYS *", "SCAN 0", "CONFIG GET *", "ACL LIST", "SHUTDOWN"):
            with pytest.raises(redis.exceptions.ResponseError, match=r"(?i)noperm|permission"):
                client.execute_command(*command.split())


@pytest.mark.parametrize("service", SERVICES)
def test_a_password_opens_one_account_only(servers: Any, service: str) -> None:
    passwords = servers.access.passwords
    assert len(set(passwords.values())) == len(passwords)
    other = next(each for each in SERVICES if each != service)
    wrong = servers.access.redis_url(service).replace(passwords[service], passwords[other])
    with redis.Redis.from_url(wrong) as client, pytest.raises(redis.exceptions.AuthenticationError):
        client.ping()
