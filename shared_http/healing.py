"""`POST /ops/<service>/healing`: have a service ask again for what got lost, for orders that wait too long.

Everything that it repeats is idempotent for ever, so that asking once too often costs a message and does nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Response, current_app
from marshmallow import Schema, fields, validate

from shared_events import logs
from shared_http.application import json_response
from shared_http.auth import current_identity
from shared_http.blueprint import Blueprint, requires
from shared_http.fields import Line, StrictBoolean, StrictInteger
from shared_http.identity import OPS

AT_ONCE = 1_000
IDLE_S = 30


@dataclass(frozen=True, slots=True)
class Wish:
    """Which orders, who asks and why. What changed within the last `idle_s` seconds is left alone."""

    order_ids: tuple[UUID, ...]
    by: str
    reason: str
    idle_s: int
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Healed:
    """What was done for an order, in words; with a dry run, what would be."""

    order_id: UUID
    did: str


Heal = Callable[[Wish], list[Healed]]
"""Repeats, in one transaction, what these orders wait for in this service; returns what it did."""


class WishSchema(Schema):
    """Which orders to look after, and why; `dry_run` only tells what would be done."""

    order_ids = fields.List(fields.UUID(), required=True, validate=validate.Length(1, AT_ONCE))
    reason = Line(500, shortest=0, load_default="")
    idle_s = StrictInteger(load_default=IDLE_S, validate=validate.Range(0, 86_400))
    dry_run = StrictBoolean(load_default=False)


class HealedSchema(Schema):
    """What was done for one order."""

    order_id = fields.UUID(required=True)
    did = fields.String(required=True)


class HealedListSchema(Schema):
    """What was done for each order that was looked after, in words."""

    dry_run = fields.Boolean(required=True)
    items = fields.List(fields.Nested(HealedSchema), required=True)


def healing_route(service: str, heal: Heal) -> Blueprint:
    """Return the route of one service; it asks for the scope `ops`. Each act is in the log, with who and why."""
    blp = Blueprint(
        f"{service}_healing", __name__, url_prefix=f"/ops/{service}", description=f"Healing of {service}"
    )

    @blp.route("/healing", methods=["POST"], access=requires(OPS))
    @blp.arguments(WishSchema)
    @blp.response(200, HealedListSchema)
    def heal_orders(body: dict[str, Any]) -> Response:
        """Ask again for what these orders wait for; harmless if nothing was lost."""
        wish = Wish(
            tuple(sorted(set(body["order_ids"]))),
            current_identity().subject,
            body["reason"],
            body["idle_s"],
            body["dry_run"],
        )
        done = heal(wish)
        for each in () if wish.dry_run else done:
            with logs.context(order_id=str(each.order_id)):
                current_app.logger.info(
                    "healed by %s: %s (%s)", wish.by, each.did, wish.reason or "no reason"
                )
        items = [{"order_id": each.order_id, "did": each.did} for each in done]
        return json_response({"dry_run": wish.dry_run, "items": items})

    return blp
