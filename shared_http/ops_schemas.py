"""What the routes under `/ops` take and show."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from shared_events import dead_letters
from shared_http.fields import Line, Moment, StrictBoolean
from shared_http.paging import PageArguments

ANY = "any"
STATUSES = (dead_letters.OPEN, dead_letters.REPLAYED, dead_letters.DISCARDED, dead_letters.HANDLED, ANY)


class DeadLetterFilterSchema(Schema):
    """Which dead letters: every member that is given must match."""

    type = fields.String(load_default=None)
    cause = fields.String(load_default=None)
    correlation_id = fields.UUID(load_default=None)


class DeadLetterCausesSchema(DeadLetterFilterSchema):
    """The filters of what is only read; `status=any` takes in closed ones too."""

    status = fields.String(load_default=dead_letters.OPEN, validate=validate.OneOf(STATUSES))


class DeadLetterListSchema(PageArguments, DeadLetterCausesSchema):
    """The filters of the list, and its page."""


class DeadLetterSchema(Schema):
    """A message that could not be handled, and what became of it."""

    id = fields.UUID(required=True)
    message_id = fields.UUID(allow_none=True)
    type = fields.String(allow_none=True)
    source = fields.String(allow_none=True)
    subject = fields.String(allow_none=True)
    correlation_id = fields.UUID(allow_none=True)
    queue = fields.String()
    cause = fields.String()
    reason = fields.String()
    attempts = fields.Integer()
    died_at = Moment()
    status = fields.String()
    resolved_at = Moment(allow_none=True)
    resolved_by = fields.String(allow_none=True)
    resolution = fields.String(allow_none=True)


class WholeDeadLetterSchema(DeadLetterSchema):
    """A dead letter with the message itself; `body_base64` is there if the body is not text."""

    traceback = fields.String()
    headers = fields.Dict()
    body = fields.String(allow_none=True)
    body_base64 = fields.String()


class CauseSchema(Schema):
    """How many dead letters share a cause and a type."""

    cause = fields.String()
    type = fields.String(allow_none=True)
    count = fields.Integer()
    oldest = Moment()
    newest = Moment()


class CausesSchema(Schema):
    """The causes of open dead letters, most frequent first."""

    items = fields.List(fields.Nested(CauseSchema))


class ReplaySchema(Schema):
    """Why a dead letter is replayed."""

    reason = Line(500, shortest=0, load_default="")


class DiscardSchema(Schema):
    """Why a dead letter is discarded."""

    reason = Line(500, required=True)


class ReplayManySchema(DeadLetterFilterSchema):
    """Which open dead letters are replayed; `dry_run` only tells which these are."""

    reason = Line(500, shortest=0, load_default="")
    dry_run = StrictBoolean(load_default=False)


class DiscardManySchema(DeadLetterFilterSchema):
    """Which open dead letters are discarded, and why; `dry_run` only tells which these are."""

    reason = Line(500, required=True)
    all = StrictBoolean(load_default=False, metadata={"description": "needed if nothing else says which"})
    dry_run = StrictBoolean(load_default=False)

    @validates_schema
    def _says_which(self, wanted: dict[str, Any], **_: Any) -> None:
        """Refuse to close everything by oversight."""
        if not (wanted["all"] or wanted["type"] or wanted["cause"] or wanted["correlation_id"]):
            raise ValidationError("say which: type, cause, correlation_id, or all", "all")


class ChosenSchema(Schema):
    """Which dead letters were replayed or discarded, or would be."""

    dry_run = fields.Boolean()
    count = fields.Integer()
    ids = fields.List(fields.UUID())


class StoryEntrySchema(Schema):
    """One message of a journey, as this service saw it."""

    service = fields.String()
    state = fields.String(metadata={"description": "handled, waiting, or the status of a dead letter"})
    message_id = fields.UUID(allow_none=True)
    type = fields.String(allow_none=True)
    source = fields.String(allow_none=True)
    causation_id = fields.UUID(allow_none=True)
    sent_at = Moment(allow_none=True)
    at = Moment()
    attempts = fields.Integer()
    detail = fields.String()


class StorySchema(Schema):
    """A service's part of a journey, oldest first."""

    items = fields.List(fields.Nested(StoryEntrySchema))
