"""Orders are priced by what is remembered of the catalogue, and never at a price that has changed."""

from datetime import datetime
from typing import Any

import pytest
from orders_shop import LAMP, Shop
from sqlalchemy import text

from orders_svc.tables import OrdersWork


def test_an_order_at_remembered_prices_reads_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    first = shop.order(LAMP)
    monkeypatch.setattr(OrdersWork, "catalogue", None)

    second = shop.order(LAMP)

    assert second.status_code == 202
    assert second.json["lines"] == first.json["lines"]
    shown = shop.get(second.headers["Location"]).json
    assert datetime.fromisoformat(shown["created_at"]) == datetime.fromisoformat(second.json["created_at"])
    with shop.engine.connect() as connection:
        ahead_s = connection.execute(text("SELECT max(created_at) - now() FROM orders")).scalar_one()
    assert abs(ahead_s.total_seconds()) < 1


@pytest.mark.parametrize(
    ("change", "lines", "status"),
    [
        (
            "UPDATE products SET price_amount = 5000 WHERE sku = 'LAMP'",
            [{"amount": 5000, "currency": "EUR"}],
            202,
        ),
        ("UPDATE products SET currency = 'USD'", [{"amount": 4900, "currency": "USD"}], 202),
        ("UPDATE products SET active = false", None, 422),
        ("DELETE FROM products", None, 422),
    ],
)
def test_what_is_remembered_of_the_catalogue_is_not_sold_at_when_it_has_changed(
    shop: Shop, change: str, lines: Any, status: int
) -> None:
    assert shop.order(LAMP).status_code == 202
    with shop.engine.begin() as connection:
        connection.execute(text(change))

    for answer in (shop.order(LAMP), shop.order(LAMP)):
        assert answer.status_code == status, answer.text
        assert lines is None or [line["unit_price"] for line in answer.json["lines"]] == lines
    assert shop.count("orders") == shop.count("idempotency_keys") == (3 if status == 202 else 1)


def test_nobody_is_refused_by_what_is_only_remembered(shop: Shop) -> None:
    assert shop.order(LAMP).status_code == 202
    with shop.engine.begin() as connection:
        connection.execute(text("UPDATE products SET price_amount = 100"))

    assert shop.order(LAMP, expected_total={"amount": 200, "currency": "EUR"}).status_code == 202
