"""The kinds of problem that an API answers with (RFC 9457), one registry for all services.

A kind is registered where it is raised; `/problems/<slug>` explains it to the reader of an answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its name in the URL, its status, a short title, and what to do about it."""

    slug: str
    status: int
    title: str
    explanation: str

    @property
    def uri(self) -> str:
        """The `type` member: a page that explains the problem."""
        return f"/problems/{self.slug}"


REGISTRY: dict[str, Kind] = {}


def register(slug: str, status: int, title: str, explanation: str) -> Kind:
    """Add a kind to the registry and return it. Two different kinds may not share a slug."""
    kind = Kind(slug, status, title, explanation)
    if REGISTRY.setdefault(slug, kind) != kind:
        raise ValueError(f"problem {slug} is registered twice, differently")
    return kind


class Problem(Exception):
    """Ends the request with a problem. `errors` are made by `at_body`, `at_parameter`, `at_header`."""

    def __init__(
        self,
        kind: Kind,
        detail: str | None = None,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or kind.title)
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    def document(self, trace_id: str) -> dict[str, Any]:
        """Return the body of the answer."""
        body: dict[str, Any] = {
            "type": self.kind.uri,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail or self.kind.explanation,
            "trace_id": trace_id,
        }
        if self.errors:
            body["errors"] = list(self.errors)
        return body


def at_body(pointer: str, detail: str) -> dict[str, str]:
    """Say what is wrong at a place in the body, such as `#/lines/0/sku`."""
    return {"pointer": pointer, "detail": detail}


def at_parameter(name: str, detail: str) -> dict[str, str]:
    """Say what is wrong with a query or path parameter."""
    return {"parameter": name, "detail": detail}


def at_header(name: str, detail: str) -> dict[str, str]:
    """Say what is wrong with a header."""
    return {"header": name, "detail": detail}


BAD_REQUEST = register(
    "bad-request", 400, "The request cannot be read", "The request is not valid HTTP for this route."
)
MALFORMED_JSON = register(
    "malformed-json",
    400,
    "The body is not JSON",
    "Send one JSON document in UTF-8; `detail` says where it breaks.",
)
NOT_FOUND = register(
    "not-found",
    404,
    "There is no such resource",
    "The address is wrong, or what it names does not exist or belongs to somebody else.",
)
METHOD_NOT_ALLOWED = register(
    "method-not-allowed",
    405,
    "The resource does not have this method",
    "The `Allow` header lists the methods that it has.",
)
NOT_ACCEPTABLE = register(
    "not-acceptable", 406, "No such representation", "Everything here is answered as JSON."
)
STALE_RESOURCE = register(
    "stale-resource",
    412,
    "The resource has changed since you read it",
    "`If-Match` names an older version. Read the resource again and repeat the change on what it is now.",
)
BODY_TOO_LARGE = register(
    "body-too-large", 413, "The body is too large", "A request body may have at most 1 MB (1,048,576 bytes)."
)
UNSUPPORTED_MEDIA_TYPE = register(
    "unsupported-media-type",
    415,
    "The body is not declared as JSON",
    "Send `Content-Type: application/json`.",
)
INVALID_REQUEST = register(
    "invalid-request",
    422,
    "Some values are not acceptable",
    "`errors` names each wrong value: `pointer` is a place in the body, `parameter` one of the address.",
)
PRECONDITION_REQUIRED = register(
    "precondition-required",
    428,
    "Say which version you change",
    "Read the resource and send its `ETag` as `If-Match`, so that no change is overwritten unseen.",
)
TOO_MANY_REQUESTS = register(
    "too-many-requests", 429, "Too many requests", "Wait as long as `Retry-After` says."
)
INTERNAL_ERROR = register(
    "internal-error",
    500,
    "Something went wrong here",
    "This is a fault of the service, not of the request. It is logged under `trace_id`: tell it to support.",
)
DATABASE_UNAVAILABLE = register(
    "database-unavailable",
    503,
    "The service cannot reach its database",
    "Nothing was changed. Repeat the request, with the same Idempotency-Key, after `Retry-After` seconds.",
)

BY_STATUS = {
    400: BAD_REQUEST,
    404: NOT_FOUND,
    405: METHOD_NOT_ALLOWED,
    406: NOT_ACCEPTABLE,
    412: STALE_RESOURCE,
    413: BODY_TOO_LARGE,
    415: UNSUPPORTED_MEDIA_TYPE,
    422: INVALID_REQUEST,
    428: PRECONDITION_REQUIRED,
    429: TOO_MANY_REQUESTS,
    500: INTERNAL_ERROR,
}
"""Which kind stands for a plain HTTP error that a library raised."""
