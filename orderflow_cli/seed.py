"""The products, stock and customers that every example in the docs uses.

Through the public API, as anybody would; a second run changes nothing. The local stack calls `run`; the
containers' one-shot `seed` is `python -m orderflow_cli.seed`.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx2

from orderflow_cli import dev_key
from orderflow_cli.errors import CommandError
from orderflow_cli.provision import DEPLOY
from shared_events import environment

_TRIES, _PAUSE_S = 20, 0.5
_KNOWN = 409  # "this e-mail is registered": what a second run is told
_TOTAL_DIFFERS = 409
_LAST_SKU = "DESK"
ADDRESS = {"name": "Alice Example", "street": "1 Example Street", "city": "Berlin", "postal_code": "10115",
           "country": "DE"}  # fmt: skip


def run(url: str, data: Path, seed: Path = DEPLOY / "seed") -> None:
    """Seed the stack behind this gateway, as staff by the development key."""
    token = dev_key.sign(data, subject="seed@orderflow.local", scopes="staff")
    with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=15) as api:
        for product in _read(seed / "products.json"):
            _seed_product(api, product)
        for customer in _read(seed / "customers.json"):
            _send(api, "POST", "/v1/customers", customer, fine=(_KNOWN,))
        _await_orderable(api, _LAST_SKU)


def _seed_product(api: httpx2.Client, product: dict[str, Any]) -> None:
    stock, sku = product.pop("stock"), product.pop("sku")
    _send(api, "PUT", f"/v1/products/{sku}", product)
    if _has_stock(api, sku):
        return
    movement = {"kind": "receive", "quantity": stock, "cause": "seed"}
    _send(api, "POST", f"/v1/products/{sku}/stock-movements", movement, key=f"seed-{sku}")


def _has_stock(api: httpx2.Client, sku: str) -> bool:
    """Return whether it was stocked before: the key below is not kept for ever, the ledger is."""
    response = api.get(f"/v1/products/{sku}/stock-movements", params={"limit": 1})
    return response.is_success and bool(response.json()["items"])


def _await_orderable(api: httpx2.Client, sku: str) -> None:
    """Wait until Orders has heard of the product: then it refuses only the total that we claim to expect."""
    order = {
        "lines": [{"sku": sku, "quantity": 1}],
        "payment_method": "tok_visa",
        "shipping_address": ADDRESS,
        "expected_total": {"amount": 1, "currency": "EUR"},
        "customer_id": "00000000-0000-4000-8000-000000000000",
    }
    for _ in range(_TRIES):
        response = api.post("/v1/orders", json=order, headers={"Idempotency-Key": f"seed-probe-{sku}"})
        if response.status_code == _TOTAL_DIFFERS:
            return
        time.sleep(_PAUSE_S)
    raise CommandError(f"seed: Orders has not heard of {sku}: {response.status_code} {response.text.strip()}")


def _send(
    api: httpx2.Client,
    method: str,
    path: str,
    body: dict[str, Any],
    *,
    key: str | None = None,
    fine: tuple[int, ...] = (),
) -> None:
    headers = {"Idempotency-Key": key} if key else {}
    said = ""
    for _ in range(_TRIES):
        try:
            response = api.request(method, path, json=body, headers=headers)
        except httpx2.TransportError as error:
            said = str(error)
        else:
            if response.is_success or response.status_code in fine:
                return
            said = f"{response.status_code} {response.text.strip()}"
            if response.is_client_error:
                break
        time.sleep(_PAUSE_S)
    raise CommandError(f"seed: {method} {path}: {said}")


def _read(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text(encoding="utf-8")))


def main() -> int:
    """Seed the deployment at ORDERFLOW_URL, as staff by the development key in ORDERFLOW_DATA."""
    try:
        if environment.text("ORDERFLOW_JWT_ISSUER") != dev_key.ISSUER:
            print("nothing is seeded where a real issuer vouches for users")
            return 0
        data = Path(environment.text("ORDERFLOW_DATA"))
        run(environment.url("ORDERFLOW_URL", "http", "https"), data)
    except (CommandError, environment.BadSetting) as error:
        print(f"orderflow: {error}", file=sys.stderr)
        return 1
    print("seeded: LAMP, MUG, DESK, alice@example.com, bob@example.com")
    return 0


if __name__ == "__main__":
    sys.exit(main())
