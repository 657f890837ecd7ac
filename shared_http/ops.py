"""`/ops/<service>/…`: a service's dead letters, and its part of an order's story; every service has them."""

import base64
from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import Connection, Row

from shared_events import dead_letters, stories
from shared_events.dead_letters import Filter
from shared_events.tables import DEAD_LETTERS
from shared_http import problems
from shared_http.application import json_response
from shared_http.auth import current_identity
from shared_http.blueprint import Blueprint, requires
from shared_http.edge import current_edge
from shared_http.idempotency import idempotent, remember
from shared_http.identity import OPS
from shared_http.ops_schemas import (
    ANY,
    CausesSchema,
    ChosenSchema,
    DeadLetterCausesSchema,
    DeadLetterListSchema,
    DeadLetterSchema,
    DiscardManySchema,
    DiscardSchema,
    ReplayManySchema,
    ReplaySchema,
    StorySchema,
    WholeDeadLetterSchema,
)
from shared_http.paging import cut, key_in, page_of
from shared_http.problems import Problem

JSON = dict[str, Any]
_BY = (DEAD_LETTERS.c.id,)
_ACCESS = requires(OPS)

DEAD_LETTER_CLOSED = problems.register(
    "dead-letter-closed",
    409,
    "The dead letter is not open any more",
    "It was replayed, discarded or handled before; its `status`, `resolved_by` and `resolution` say how.",
)

DEAD_LETTER_FORGED = problems.register(
    "dead-letter-forged",
    409,
    "The dead letter cannot be shown to be genuine",
    "A replay would send it in this service's own name, and it would be believed. It stays open; discard it.",
)


def ops_routes(service: str) -> Blueprint:
    """Return the routes of one service; all ask for the scope `ops`."""
    blp = Blueprint(
        f"{service}_ops", __name__, url_prefix=f"/ops/{service}", description=f"Operations of {service}"
    )
    _add_lists(blp)
    _add_single(blp, service)
    _add_many(blp, service)
    _add_story(blp, service)
    return blp


def _add_lists(blp: Blueprint) -> None:
    @blp.route("/dead-letters", access=_ACCESS)
    @blp.arguments(DeadLetterListSchema, location="query")
    @blp.response(200, page_of(DeadLetterSchema))
    def list_dead_letters(wanted: JSON) -> Any:
        """List dead letters, newest first."""
        cursor, limit = wanted["cursor"], wanted["limit"]
        before = key_in(cursor, _BY)[0] if cursor else None
        asked = _filter(wanted, _status(wanted))
        with current_edge().engine.connect() as connection:
            rows = dead_letters.search(connection, asked, limit=limit + 1, before=before)
        page = cut(rows, _BY, limit)
        return page.answer([row._asdict() for row in page.rows])

    @blp.route("/dead-letters/causes", access=_ACCESS)
    @blp.arguments(DeadLetterCausesSchema, location="query")
    @blp.response(200, CausesSchema)
    def list_causes(wanted: JSON) -> JSON:
        """Count dead letters by cause and type."""
        with current_edge().engine.connect() as connection:
            rows = dead_letters.causes(connection, _filter(wanted, _status(wanted)))
        return {"items": [row._asdict() for row in rows]}


def _add_single(blp: Blueprint, service: str) -> None:
    @blp.route("/dead-letters/<uuid:dead_letter_id>", access=_ACCESS)
    @blp.response(200, WholeDeadLetterSchema)
    def get_dead_letter(dead_letter_id: UUID) -> JSON:
        """Show a dead letter with its message."""
        with current_edge().engine.connect() as connection:
            return _whole(_existing(dead_letters.get(connection, dead_letter_id)))

    @blp.route("/dead-letters/<uuid:dead_letter_id>/replay", methods=["POST"], access=_ACCESS)
    @idempotent(required=False)
    @blp.arguments(ReplaySchema)
    @blp.response(200, DeadLetterSchema)
    def replay_dead_letter(body: JSON, dead_letter_id: UUID) -> Response:
        """Send a dead letter to this service's queue again."""
        with current_edge().engine.begin() as connection:
            its = _existing(dead_letters.get(connection, dead_letter_id))
            by = current_identity().subject
            done = dead_letters.replay(connection, service, [its.id], by=by, reason=body["reason"])
            if not done and (its.status, its.cause) == (dead_letters.OPEN, dead_letters.FORGED):
                raise Problem(DEAD_LETTER_FORGED)
            return _closed(connection, its.id, done)

    @blp.route("/dead-letters/<uuid:dead_letter_id>/discard", methods=["POST"], access=_ACCESS)
    @idempotent(required=False)
    @blp.arguments(DiscardSchema)
    @blp.response(200, DeadLetterSchema)
    def discard_dead_letter(body: JSON, dead_letter_id: UUID) -> Response:
        """Close a dead letter without an effect."""
        with current_edge().engine.begin() as connection:
            its = _existing(dead_letters.get(connection, dead_letter_id))
            by = current_identity().subject
            done = dead_letters.discard(connection, [its.id], by=by, reason=body["reason"])
            return _closed(connection, its.id, done)


def _add_many(blp: Blueprint, service: str) -> None:
    @blp.route("/dead-letters/replay", methods=["POST"], access=_ACCESS)
    @idempotent(required=False)
    @blp.arguments(ReplayManySchema)
    @blp.response(200, ChosenSchema)
    def replay_dead_letters(body: JSON) -> Response:
        """Send all open dead letters that match to this service's queue again, at most 10,000 at once.

        Forged ones are left out.
        """
        with current_edge().engine.begin() as connection:
            ids = dead_letters.replayable(connection, _filter(body))
            if not body["dry_run"]:
                by = current_identity().subject
                ids = dead_letters.replay(connection, service, ids, by=by, reason=body["reason"])
            return _chosen(connection, ids, dry_run=body["dry_run"])

    @blp.route("/dead-letters/discard", methods=["POST"], access=_ACCESS)
    @idempotent(required=False)
    @blp.arguments(DiscardManySchema)
    @blp.response(200, ChosenSchema)
    def discard_dead_letters(body: JSON) -> Response:
        """Close all open dead letters that match without an effect, at most 10,000 at once."""
        with current_edge().engine.begin() as connection:
            ids = dead_letters.discardable(connection, _filter(body))
            if not body["dry_run"]:
                by = current_identity().subject
                ids = dead_letters.discard(connection, ids, by=by, reason=body["reason"])
            return _chosen(connection, ids, dry_run=body["dry_run"])


def _add_story(blp: Blueprint, service: str) -> None:
    @blp.route("/stories/<uuid:correlation_id>", access=_ACCESS)
    @blp.response(200, StorySchema)
    def get_story(correlation_id: UUID) -> JSON:
        """Show what this service did for one journey (an order's id)."""
        with current_edge().engine.connect() as connection:
            return {"items": stories.story(connection, service, correlation_id)}


def _filter(wanted: JSON, status: str | None = dead_letters.OPEN) -> Filter:
    return Filter(status, wanted["type"], wanted["cause"], wanted["correlation_id"])


def _status(wanted: JSON) -> str | None:
    return None if wanted["status"] == ANY else wanted["status"]


def _chosen(connection: Connection, ids: list[UUID], *, dry_run: bool) -> Response:
    answer = json_response({"dry_run": dry_run, "count": len(ids), "ids": ids})
    remember(connection, answer)
    return answer


def _existing(row: Row[Any] | None) -> Row[Any]:
    if row is None:
        raise Problem(problems.NOT_FOUND)
    return row


def _closed(connection: Connection, dead_letter_id: UUID, done: list[UUID]) -> Response:
    """Answer with the dead letter as it is now; 409 if somebody else had closed it before."""
    row = _existing(dead_letters.get(connection, dead_letter_id))
    if not done:
        raise Problem(DEAD_LETTER_CLOSED, f"It is {row.status}: {row.resolution or 'no reason given'}")
    answer = json_response(DeadLetterSchema().dump(row._asdict()))
    remember(connection, answer)
    return answer


def _whole(row: Row[Any]) -> JSON:
    shown = row._asdict()
    raw = bytes(row.body)
    try:
        shown["body"] = raw.decode()
    except UnicodeDecodeError:
        shown["body"] = None
        shown["body_base64"] = base64.b64encode(raw).decode()
    return shown
