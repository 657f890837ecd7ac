"""`Idempotency-Key` (IETF draft): a POST that is sent again gives the first answer again, and acts once.

`@idempotent` claims the key and answers repeats; the view calls `remember` inside its transaction, so that
the stored answer exists exactly if the effect does. Only a 2xx is stored; every other answer frees the key.

The row is read only when it can matter: when Redis has seen the key, when the view refuses (an earlier call
may have succeeded before, say, the customer was suspended), and when `remember` meets the row of another
request. So a first call costs no extra query, and without Redis the answers are the same.
"""

import hashlib
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import msgspec
from flask import Response, current_app, g, request
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared_events.work import UnitOfWork
from shared_http import idempotency_rows, problems
from shared_http.auth import optional_identity
from shared_http.body import read_json
from shared_http.edge import current_edge
from shared_http.idempotency_rows import Scope, Stored
from shared_http.problems import Problem, at_header

F = TypeVar("F", bound=Callable[..., Any])
OnReplay = Callable[[Response], Response]

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
_ANONYMOUS = "anonymous"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_STORED_HEADERS = {"Content-Type", "Location", "Retry-After", "ETag"}

KEY_MISSING = problems.register(
    "idempotency-key-missing",
    400,
    "This request needs an Idempotency-Key",
    "Send `Idempotency-Key` with a value of your own, such as a UUID, and the same one when you repeat it.",
)
KEY_MALFORMED = problems.register(
    "idempotency-key-malformed",
    400,
    "The Idempotency-Key is not readable",
    "A key is 1 to 255 visible ASCII characters, bare or in double quotes.",
)
KEY_IN_USE = problems.register(
    "idempotency-key-in-use",
    409,
    "The first request with this key is still running",
    "Repeat the request after `Retry-After` seconds: it then gets the answer of the first one.",
)
KEY_REUSED = problems.register(
    "idempotency-key-reused",
    422,
    "The key was used for another request",
    "This Idempotency-Key already answered a request with another body. Use a new key for a new request.",
)


class _AlreadyAnswered(Exception):
    """Rolls back the view's transaction: the key has a row already."""


class _Attempt:
    """One request under a key."""

    def __init__(self, scope: Scope, fingerprint: bytes, on_replay: OnReplay | None) -> None:
        self.scope = scope
        self.fingerprint = fingerprint
        self.on_replay = on_replay
        self.remembered = False

    @property
    def name(self) -> str:
        """The key's name in Redis."""
        scope = self.scope
        text = "\n".join((scope.subject, scope.method, scope.path, scope.key))
        return hashlib.sha256(text.encode()).hexdigest()

    def stored(self, response: Response) -> Stored:
        """Return what is kept of an answer."""
        headers = {name: value for name, value in response.headers if name in _STORED_HEADERS}
        return Stored(self.fingerprint, response.status_code, headers, response.get_data())

    def replay(self) -> Response | None:
        """Return the stored answer, if there is one. Raises Problem if it answered another body."""
        with current_edge().engine.connect() as connection:
            stored = idempotency_rows.find(connection, self.scope)
        if stored is None:
            return None
        if stored.fingerprint != self.fingerprint:
            raise Problem(KEY_REUSED, errors=[at_header(HEADER, "used before with another body")])
        answer = current_app.response_class(stored.body, stored.status, stored.headers)
        answer = self.on_replay(answer) if self.on_replay else answer
        answer.headers[REPLAYED] = "true"
        return answer


def idempotent(*, required: bool, on_replay: OnReplay | None = None) -> Callable[[F], F]:
    """Let a view answer a repeated key with its first answer; it must `remember` every 2xx that it gives.

    `on_replay` may render a stored answer anew (Orders: `Prefer: wait`). Stands above `@blp.arguments`.
    """

    def decorate(view: F) -> F:
        @wraps(view)
        def answer(*args: Any, **kwargs: Any) -> Response:
            key = _key_of_request(required=required)
            if key is None:
                g.idempotency = None
                return current_app.make_response(view(*args, **kwargs))
            g.idempotency = attempt = _Attempt(_scope(key), _fingerprint(), on_replay)
            return _answer(attempt, lambda: current_app.make_response(view(*args, **kwargs)))

        documented = cast("Any", answer)
        documented._apidoc = {**getattr(view, "_apidoc", {}), "idempotency": required}
        return cast("F", answer)

    return decorate


def remember(connection: Connection, response: Response) -> None:
    """Store the answer in the view's own transaction. Without a key it does nothing.

    If the key turns out to be answered already, this ends the view: its transaction is rolled back and the
    stored answer is sent.
    """
    attempt: _Attempt | None = g.get("idempotency")
    if attempt is None:
        return
    if not idempotency_rows.add(connection, attempt.scope, attempt.stored(response)):
        raise _AlreadyAnswered
    attempt.remembered = True


def remember_with(work: UnitOfWork, response: Response) -> None:
    """Do what `remember` does, but let the answer leave in one statement with all that the work writes."""
    attempt: _Attempt | None = g.get("idempotency")
    if attempt is None:
        return
    idempotency_rows.add_with(work, attempt.scope, attempt.stored(response))
    attempt.remembered = True


def _answer(attempt: _Attempt, view: Callable[[], Response]) -> Response:
    claims, name = current_edge().claims, attempt.name
    claimed = claims.claim(name)
    if claimed.seen:
        return _answer_seen(attempt)
    succeeded = False
    try:
        answer = _run(attempt, view)
        succeeded = answer.status_code < 300
        return answer
    finally:
        if not succeeded:
            claims.free(name, claimed)


def _answer_seen(attempt: _Attempt) -> Response:
    """Answer a key that was seen: from its row, or 409 while another request is at work on it."""
    replay = attempt.replay()
    if replay is None:
        raise Problem(KEY_IN_USE, headers={"Retry-After": "1"})
    return replay


def _run(attempt: _Attempt, view: Callable[[], Response]) -> Response:
    """Run the view; where it refuses, an answer given earlier under the same key goes before the refusal."""
    try:
        answer = view()
    except _AlreadyAnswered:
        return _answer_seen(attempt)
    except IntegrityError as error:
        if not idempotency_rows.is_taken(error):
            raise
        return _answer_seen(attempt)
    except (DBAPIError, PoolTimeout):
        raise  # nothing can be looked up now, and the client is told to repeat
    except Exception:
        replay = attempt.replay()
        if replay is not None:
            return replay
        raise
    if answer.status_code >= 300:
        return attempt.replay() or answer
    if not attempt.remembered:
        raise RuntimeError(f"{request.endpoint} answered {answer.status_code} and did not remember it")
    return answer


def _key_of_request(*, required: bool) -> str | None:
    """Return the key, bare or as a structured-field string. Raises Problem."""
    header = request.headers.get(HEADER)
    if header is None:
        if required:
            raise Problem(KEY_MISSING, errors=[at_header(HEADER, "missing")])
        return None
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = re.sub(r'\\(["\\])', r"\1", key[1:-1])
    if not _KEY.fullmatch(key):
        raise Problem(KEY_MALFORMED, errors=[at_header(HEADER, "1 to 255 visible ASCII characters")])
    return key


def _scope(key: str) -> Scope:
    identity = g.get("identity") or optional_identity()
    return Scope(identity.subject if identity else _ANONYMOUS, request.method, request.path, key)


def _fingerprint() -> bytes:
    """Return the SHA-256 of the body as canonical JSON: the order of the members does not matter."""
    body = msgspec.json.encode(read_json(), order="sorted") if request.get_data(cache=True) else b""
    return hashlib.sha256(body).digest()
