"""The API of Orders on a real database, as those who order see it."""

from typing import Any
from uuid import uuid4

from issuer import AUDIENCE, ISSUER, Issuer
from sqlalchemy import Engine, text

from orders_svc.api import blp
from orders_svc.intake import Door
from orders_svc.saga import Deadlines, checkout
from shared_events.settings import Servers
from shared_events.spare import Spare
from shared_http.application import create_api
from shared_http.settings import HttpSettings

JSON = dict[str, Any]
ADDRESS = {"name": "A", "street": "S 1", "postal_code": "1", "city": "C", "country": "DE"}
LAMP = {"sku": "LAMP", "quantity": 2}
ALICE = "alice@example.com"


class Shop:
    """The API as a customer, staff or a stranger see it."""

    def __init__(self, engine: Engine, spare: Spare, redis_url: str, max_outbox_rows: int = 1000) -> None:
        self.engine = engine
        self.spare = spare
        self.issuer = Issuer()
        settings = HttpSettings(
            Servers("", "amqp://127.0.0.1:1", redis_url), ISSUER, AUDIENCE, "file:///nowhere"
        )
        self.app = create_api(
            "orders",
            settings=settings,
            engine=engine,
            blueprints=[blp],
            keys=self.issuer,
            config={
                "CHECKOUT": checkout(Deadlines()),
                "SPARE": spare,
                "DOOR": Door(max_outbox_rows),
            },
        )

    def order(self, *lines: Any, key: str | None = "", scope: str = "customer", **members: Any) -> Any:
        body = {"lines": list(lines), "payment_method": "tok_visa", "shipping_address": ADDRESS, **members}
        return self.post("/v1/orders", json=body, key=key, scope=scope)

    def post(
        self, path: str, key: str | None = "", scope: str = "customer", subject: str = ALICE, **sent: Any
    ) -> Any:
        headers = self.issuer.headers(subject, scope)
        if key is not None:
            headers["Idempotency-Key"] = key or str(uuid4())
        return self.app.test_client().post(path, headers=headers, **sent)

    def get(self, path: str, subject: str = ALICE, scope: str = "customer") -> Any:
        return self.app.test_client().get(path, headers=self.issuer.headers(subject, scope))

    def count(self, table: str) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
