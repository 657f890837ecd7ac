"""The simulator's HTTP face: a small threaded server that keeps connections open.

`http.server` and not a WSGI server: it holds one connection a thread, may leave a caller without an answer,
and needs 20 MB less.
"""

import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Annotated, Any, NoReturn
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from provider_simulator.books import Answer, Books
from provider_simulator.methods import METHODS, UNKNOWN
from provider_simulator.weather import Forecast, Kind, Weather

_ENDLESS_S = 30.0
"""How long a lost answer keeps its caller waiting; then the connection is closed without one."""

_MAX_BODY = 64 * 1024
_MAX_PAGE = 1000

Said = tuple[HTTPStatus, Any]
Call = Callable[[str, bytes], Said]
Amount = Annotated[int, msgspec.Meta(ge=0)]
"""Zero is a valid amount: an order of free goods is paid like any other."""


class Authorization(msgspec.Struct):
    """Body of POST /authorizations."""

    order_id: str
    amount: Amount
    currency: str
    method: str


class Movement(msgspec.Struct):
    """Body of POST /captures and /refunds."""

    reference: str
    amount: Amount
    currency: str


class Release(msgspec.Struct):
    """Body of POST /voids."""

    reference: str


class NoAnswer(Exception):
    """The caller gets none: the connection is closed."""


class Desk:
    """Answers requests from the books, in the manner of each payment method."""

    def __init__(self, books: Books, stopping: threading.Event) -> None:
        self._books = books
        self._stopping = stopping
        self._weather = Weather()
        self._posts: dict[str, Call] = {
            "/authorizations": self._authorize,
            "/captures": lambda key, body: _said(books.capture(key, **_fields(body, Movement))),
            "/refunds": lambda key, body: _said(books.refund(key, **_fields(body, Movement))),
            "/voids": lambda key, body: _said(books.void(key, **_fields(body, Release))),
        }

    def post(self, path: str, key: str | None, body: bytes) -> Said:
        """Answer a POST."""
        call = self._posts.get(path)
        if call is None:
            return HTTPStatus.NOT_FOUND, {"error": "no such path"}
        if not key:
            return HTTPStatus.BAD_REQUEST, {"error": "Idempotency-Key is missing"}
        storm = self._storm()
        if storm:
            return storm
        try:
            said = call(key, body)
        except msgspec.MsgspecError as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        if self._weather.now.kind is Kind.TIMEOUTS:
            self._lose_the_answer()
        return said

    def forecast(self, body: bytes) -> Said:
        """Change the weather."""
        try:
            self._weather.become(msgspec.json.decode(body, type=Forecast))
        except msgspec.MsgspecError as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        return HTTPStatus.OK, {"weather": self._weather.now.kind.value}

    def get(self, path: str, query: dict[str, list[str]]) -> Said:
        """Answer a GET."""
        if path in {"/health/live", "/health/ready"}:
            return HTTPStatus.OK, {"status": "ok"}
        if storm := self._storm():
            return storm
        if path.startswith("/calls/"):
            answer = self._books.lookup(unquote(path.removeprefix("/calls/")))
            return _said(answer) if answer else (HTTPStatus.NOT_FOUND, {"error": "unknown key"})
        if path == "/records":
            return self._records(query)
        return HTTPStatus.NOT_FOUND, {"error": "no such path"}

    def _authorize(self, key: str, body: bytes) -> Said:
        asked = msgspec.json.decode(body, type=Authorization)
        method = METHODS.get(asked.method, UNKNOWN)
        if method.turns_away and self._books.turn_away(key, method.turns_away):
            return HTTPStatus.SERVICE_UNAVAILABLE, {"error": "try again"}
        answer = self._books.authorize(key, **msgspec.structs.asdict(asked), refusal=method.refusal)
        if method.first_answer_lost and answer.first:
            self._lose_the_answer()
        self._stopping.wait(method.answers_after_s)
        return _said(answer)

    def _storm(self) -> Said | None:
        """Wait as long as the weather wants; return what it answers by itself."""
        now = self._weather.now
        if now.kind is Kind.ERRORS:
            return HTTPStatus.SERVICE_UNAVAILABLE, {"error": "bad weather"}
        if now.kind is Kind.SLOW:
            self._stopping.wait(now.slow_s)
        return None

    def _lose_the_answer(self) -> NoReturn:
        self._stopping.wait(_ENDLESS_S)
        raise NoAnswer

    def _records(self, query: dict[str, list[str]]) -> Said:
        try:
            after = int(query.get("after", ["0"])[0])
            limit = min(int(query.get("limit", ["500"])[0]), _MAX_PAGE)
        except ValueError:
            return HTTPStatus.BAD_REQUEST, {"error": "after and limit are whole numbers"}
        order_id = query.get("order_id", [None])[0]
        items = self._books.records(order_id=order_id, after=after, limit=limit)
        return HTTPStatus.OK, {"items": items, "next_after": items[-1]["position"] if items else None}


def serve(host: str, port: int, books: Books, stopping: threading.Event) -> "Server":
    """Return a server that listens; `serve_forever()` runs it."""
    return Server((host, port), Desk(books, stopping))


class Server(ThreadingHTTPServer):
    """One daemon thread a connection."""

    request_queue_size = 128
    daemon_threads = True
    block_on_close = False  # a caller who waits in vain must not delay the stop

    def __init__(self, address: tuple[str, int], desk: Desk) -> None:
        super().__init__(address, Connection)
        self.desk = desk

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong, unless a caller only hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Connection(BaseHTTPRequestHandler):
    """Reads requests and writes answers, many on one connection."""

    protocol_version = "HTTP/1.1"
    server: Server
    wbufsize = -1  # headers and body leave in one packet
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a GET."""
        parts = urlsplit(self.path)
        self._answer(*self.server.desk.get(parts.path, parse_qs(parts.query)))

    def do_POST(self) -> None:
        """Answer a POST, or close the connection."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _MAX_BODY:
            self.close_connection = True
            self._answer(HTTPStatus.BAD_REQUEST, {"error": "give a Content-Length of at most 64 KB"})
            return
        body = self.rfile.read(int(length))
        if self.path == "/weather":
            self._answer(*self._forecast(body))
            return
        try:
            self._answer(*self.server.desk.post(self.path, self.headers.get("Idempotency-Key"), body))
        except NoAnswer:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
        """Say nothing: the books tell what was asked."""

    def _forecast(self, body: bytes) -> Said:
        """Let nobody but this machine make the weather: elsewhere a network lies between."""
        if not ip_address(self.client_address[0]).is_loopback:
            return HTTPStatus.FORBIDDEN, {"error": "only from this machine"}
        return self.server.desk.forecast(body)

    def _answer(self, status: HTTPStatus, content: Any) -> None:
        body = msgspec.json.encode(content)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _fields(body: bytes, shape: type[Movement | Release]) -> dict[str, Any]:
    return msgspec.structs.asdict(msgspec.json.decode(body, type=shape))


def _said(answer: Answer) -> Said:
    """Return an answer as 200 and a body that says which; a refusal is an answer like any other."""
    content = {
        "outcome": answer.outcome,
        "reference": answer.reference,
        "code": answer.code,
        "detail": answer.detail,
    }
    return HTTPStatus.OK, content
