"""`POST /v1/orders` on Orderflow's own request stack: the same server, checks of body and token, metrics, problems.

Only what comes after the checks is the contender's.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from flask import Flask, Response
from psycopg_pool import ConnectionPool
from uuid_utils.compat import uuid7

from bench.contenders import pools, shop
from orders_svc.schemas import OrderSchema, PlaceOrderSchema
from shared_events import database, environment, logs
from shared_http import problems
from shared_http.application import create_api, json_response
from shared_http.auth import current_identity
from shared_http.blueprint import Blueprint, requires
from shared_http.identity import CUSTOMER, STAFF
from shared_http.problems import Problem
from shared_http.settings import HttpSettings

Begin = Callable[[shop.Order], object]


def create(begin: Begin) -> Flask:
    """Return the API of a contender; `begin` sets an order going whose row is committed."""
    settings = environment.load_or_exit(HttpSettings.load)
    url = settings.servers.database_url
    process = f"{urlsplit(url).path.strip('/')}-api"
    logs.configure(process)
    pool = pools.connections(url, settings.request_threads)
    engine = database.engine(url, pool_size=1, process=process)  # only readiness asks it
    return create_api("bench", settings=settings, engine=engine, blueprints=[_orders(pool, begin)])


def _orders(pool: "ConnectionPool[Any]", begin: Begin) -> Blueprint:
    blp = Blueprint("bench", __name__, description="Orders of a contender")

    @blp.route("/v1/orders", methods=["POST"], access=requires(CUSTOMER, STAFF))
    @blp.arguments(PlaceOrderSchema())
    @blp.response(202, OrderSchema())
    def place_order(body: dict[str, Any]) -> Response:
        """Accept an order."""
        customer_id = current_identity().customer_id
        with pool.connection() as connection:
            order = _priced(body, connection)
            created_at = connection.execute(shop.ACCEPT, _row(order, body, customer_id)).fetchone()[
                "created_at"
            ]
        begin(order)
        shown = _shown(order, body, customer_id) | {"created_at": created_at, "updated_at": created_at}
        return json_response(shown, 202, {"Location": f"/v1/orders/{order['id']}", "Retry-After": "1"})

    return blp


def _priced(body: dict[str, Any], connection: Any) -> shop.Order:
    """Return the order at the shop's prices, each SKU in one line. Raises Problem for an unknown SKU."""
    quantities: dict[str, int] = {}
    for line in body["lines"]:
        quantities[line["sku"]] = quantities.get(line["sku"], 0) + line["quantity"]
    found = connection.execute(shop.PRICES, {"skus": list(quantities)}).fetchall()
    if len(found) < len(quantities):
        raise Problem(problems.INVALID_REQUEST, "there is no such product")
    return {
        "id": str(uuid7()),
        "lines": [{"sku": row["sku"], "quantity": quantities[row["sku"]]} for row in found],
        "amount": sum(row["price"] * quantities[row["sku"]] for row in found),
        "currency": found[0]["currency"],
        "method": body["payment_method"],
    }


def _row(order: shop.Order, body: dict[str, Any], customer_id: UUID) -> dict[str, Any]:
    return {
        **order,
        "customer_id": customer_id,
        "lines": msgspec.json.encode(order["lines"]).decode(),
        "shipping_address": msgspec.json.encode(body["shipping_address"]).decode(),
    }


def _shown(order: shop.Order, body: dict[str, Any], customer_id: UUID) -> dict[str, Any]:
    return {
        "id": order["id"],
        "reference": body["reference"],
        "customer_id": customer_id,
        "status": "pending",
        "reason": None,
        "detail": "",
        "lines": order["lines"],
        "total": {"amount": order["amount"], "currency": order["currency"]},
        "shipping_address": body["shipping_address"],
        "metadata": body["metadata"],
    }
