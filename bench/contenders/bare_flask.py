"""Flask and one INSERT: what accepting an order costs when nothing is checked, nothing leaves and nobody is asked."""

from flask import Flask, request
from flask.typing import ResponseReturnValue
from uuid_utils.compat import uuid7

from bench.contenders import pools, shop
from shared_events import environment

NOBODY = "00000000-0000-0000-0000-000000000000"


def create_app() -> Flask:
    """Return the API."""
    app = Flask(__name__, static_folder=None)
    pool = pools.connections(environment.text("ORDERFLOW_DATABASE_URL"), most=8)

    @app.post("/v1/orders")
    def place_order() -> ResponseReturnValue:
        body = request.get_json()
        order_id = str(uuid7())
        row = {
            "id": order_id,
            "customer_id": NOBODY,
            "lines": app.json.dumps(body["lines"]),
            "amount": 0,
            "currency": "EUR",
            "method": body["payment_method"],
            "shipping_address": app.json.dumps(body["shipping_address"]),
        }
        with pool.connection() as connection:
            connection.execute(shop.ACCEPT, row)
        return {"id": order_id}, 202

    @app.get("/health/live")
    def live() -> ResponseReturnValue:
        return {"status": "ok"}

    return app
