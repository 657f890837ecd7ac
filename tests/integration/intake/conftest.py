"""A catalogue, and the API that sells from it; empty before each test."""

from collections.abc import Iterator
from typing import Any

import pytest
from orders_shop import Shop
from sqlalchemy import Engine, text

from shared_events import database
from shared_events.spare import Spare


@pytest.fixture(scope="module")
def engine(servers: Any) -> Iterator[Engine]:
    made = database.engine(servers.access.database_url("orders"), pool_size=8, process="test")
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def spare(engine: Engine) -> Spare:
    return Spare(engine)  # one for all tests: each keeps the connections that it took


@pytest.fixture
def shop(engine: Engine, spare: Spare, servers: Any) -> Shop:
    tables = "orders, order_entries, products, customers, outbox, idempotency_keys"
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
        for sku, price, currency, active in (
            ("LAMP", 4900, "EUR", True),
            ("MUG", 1200, "EUR", True),
            ("OLD", 100, "EUR", False),
            ("DOLLAR", 100, "USD", True),
            ("GOLD", 10**12, "EUR", True),
        ):
            connection.execute(
                text("INSERT INTO products VALUES (:sku, :sku, :price, :currency, :active, 1)"),
                {"sku": sku, "price": price, "currency": currency, "active": active},
            )
    return Shop(engine, spare, servers.access.redis_url("orders"))
