"""The OpenAPI 3.1 document of a service: problems as errors, bearer tokens, unique operation ids."""

from http import HTTPStatus
from typing import Any

import flask_smorest
from flask import Flask
from marshmallow import Schema, fields

from shared_http import problems
from shared_http.failures import CONTENT_TYPE, register_failures
from shared_http.fields import StrictBoolean, StrictInteger


class ProblemErrorSchema(Schema):
    """One wrong value: where it stands, and what is wrong with it."""

    pointer = fields.String(
        metadata={"description": "a JSON pointer into the body", "examples": ["#/lines/0/sku"]}
    )
    parameter = fields.String(metadata={"description": "a query parameter"})
    header = fields.String(metadata={"description": "a request header"})
    detail = fields.String(required=True)


class ProblemSchema(Schema):
    """An error (RFC 9457)."""

    type = fields.String(
        required=True, metadata={"format": "uri-reference", "examples": ["/problems/not-found"]}
    )
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    trace_id = fields.String(required=True)
    errors = fields.List(fields.Nested(ProblemErrorSchema))


class Api(flask_smorest.Api):  # type: ignore[misc]  # flask-smorest ships no types
    """flask-smorest's API with our errors."""

    ERROR_SCHEMA = ProblemSchema

    def __init__(self, app: Flask, service: str) -> None:
        self.service = service
        super().__init__(app)
        self.register_field(StrictInteger, "integer", None)
        self.register_field(StrictBoolean, "boolean", None)
        self.spec.components.security_scheme(
            "bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        )

    def _register_error_handlers(self) -> None:
        register_failures(self._app)

    def _register_responses(self) -> None:
        """Document every error as application/problem+json."""
        content = {CONTENT_TYPE: {"schema": ProblemSchema}}
        for status in HTTPStatus:
            body = {"content": content} if status >= 400 else {}
            self.spec.components.response(status.name, {"description": status.phrase, **body}, lazy=True)
        self.spec.components.response(
            "DEFAULT_ERROR", {"description": "A problem", "content": content}, lazy=True
        )

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI document; `x-problems` lists what the pages under `/problems/` explain."""
        document: dict[str, Any] = self.spec.to_dict()
        document["x-problems"] = [
            {"slug": kind.slug, "status": kind.status, "title": kind.title, "explanation": kind.explanation}
            for kind in problems.REGISTRY.values()
        ]
        return document
