"""What `up` prints at its end: addresses, Flower's password, and one whole command that orders a lamp."""

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_stack import state
from local_stack.blueprint import OPS_USER
from orderflow_cli import dev_key
from orderflow_cli.seed import ADDRESS

_ORDER = {
    "lines": [{"sku": "LAMP", "quantity": 1}],
    "payment_method": "tok_visa",
    "shipping_address": ADDRESS,
}


@dataclass(frozen=True)
class Facts:
    """What a newcomer needs to use a running stack."""

    data: Path
    url: str
    flower_password: str
    curl: str

    def document(self) -> dict[str, Any]:
        """Return it for a program."""
        flower = {"url": f"{self.url}/flower/", "user": OPS_USER, "password": self.flower_password}
        return {
            "url": self.url,
            "docs": f"{self.url}/docs",
            "flower": flower,
            "rabbitmq": f"{self.url}/rabbitmq/",
            "curl": self.curl,
            "data": str(self.data),
        }

    def text(self) -> str:
        """Return it for a reader."""
        return (
            f"\nOrderflow   {self.url}\n"
            f"API         {self.url}/docs\n"
            f"Flower      {self.url}/flower/   (user {OPS_USER}, password {self.flower_password};"
            f" the same for /rabbitmq/ and /metrics)\n\n"
            f"An order by alice@example.com, answered once it is confirmed:\n\n{self.curl}\n"
        )


def block(data: Path) -> Facts:
    """Return the facts of the stack in this directory."""
    memory = state.load(data)
    url = f"http://127.0.0.1:{memory.port}"
    token = dev_key.sign(data, subject="alice@example.com", scopes="customer")
    curl = " \\\n  ".join(
        (
            f"curl -sS {url}/v1/orders",
            f"-H 'Authorization: Bearer {token}'",
            "-H 'Content-Type: application/json'",
            f"-H 'Idempotency-Key: {uuid.uuid4()}'",
            "-H 'Prefer: wait=10'",
            f"-d '{json.dumps(_ORDER)}'",
        )
    )
    return Facts(data, url, memory.ops_password, curl)
