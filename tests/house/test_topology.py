"""RabbitMQ's shape follows from the contracts and the handler tables, and nothing in it is left alone."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from orderflow_cli.definitions import document, handler_tables
from shared_events.contract import CONTRACTS, Fact, Timer
from shared_events.topology import TIERS_S

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "rabbitmq" / "definitions.json"
SERVICES = ("orders", "inventory", "customers", "payments")
COMMAND = "python -m orderflow_cli.definitions > deploy/rabbitmq/definitions.json"


@pytest.fixture(scope="module")
def shape() -> Any:
    return json.loads(FILE.read_text())


def test_the_definitions_are_those_of_the_contracts() -> None:
    assert FILE.read_text() == document(), f"run {COMMAND}"


def test_every_queue_is_consumed_or_ends_by_itself(shape: Any) -> None:
    """Work queues have a worker, dead letters a collector, and what waits in a tier comes back."""
    consumed = {queue.name for queue in handler_tables()} | {f"{service}.dead" for service in SERVICES}
    waiting = {queue.tier(seconds) for queue in handler_tables() for seconds in TIERS_S}
    expiring = {
        each["name"]
        for each in shape["queues"]
        for policy in shape["policies"]
        if re.fullmatch(policy["pattern"], each["name"]) and "message-ttl" in policy["definition"]
    }

    assert {each["name"] for each in shape["queues"]} == consumed | waiting
    assert expiring == waiting


def test_every_queue_has_exactly_one_policy(shape: Any) -> None:
    for queue in shape["queues"]:
        matching = [each for each in shape["policies"] if re.search(each["pattern"], queue["name"])]
        assert len(matching) == 1, queue["name"]


def test_no_binding_is_a_wildcard_and_none_is_made_twice(shape: Any) -> None:
    keys = [(each["source"], each["destination"], each["routing_key"]) for each in shape["bindings"]]

    assert [key for key, times in Counter(keys).items() if times > 1] == []
    assert not [key for *_, key in keys if "*" in key or "#" in key]


def test_every_command_and_timer_is_handled_by_one_service() -> None:
    handled = Counter(handler.contract.type for table in handler_tables().values() for handler in table)

    for its in CONTRACTS.values():
        if its.kind is not Fact:
            assert handled[its.type] == 1, its.type


def test_a_timer_is_handled_by_the_service_that_sets_it() -> None:
    for queue, table in handler_tables().items():
        for handler in table:
            assert handler.contract.kind is not Timer or handler.contract.sent_by == queue.service


def test_a_service_may_write_what_it_sends_and_bind_what_it_handles(shape: Any) -> None:
    tables = handler_tables()
    for permission in shape["topic_permissions"]:
        service = permission["user"]
        sends = {c.type for c in CONTRACTS.values() if c.sent_by == service and c.kind is not Timer}
        handles = {
            handler.contract.type
            for queue, table in tables.items()
            if queue.service == service
            for handler in table
            if handler.contract.kind is not Timer
        }
        assert {name for name in CONTRACTS if re.search(permission["write"], name)} == sends
        assert {name for name in CONTRACTS if re.search(permission["read"], name)} == handles


def test_no_password_is_in_the_repository(shape: Any) -> None:
    assert {user["password_hash"] for user in shape["users"]} == {""}
