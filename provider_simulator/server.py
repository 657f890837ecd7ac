"""The simulator's HTTP face: one event loop for all connections; httptools reads the requests.

No framework: a caller may be left without an answer, which frameworks do not offer.
"""

import asyncio
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import httptools
import msgspec

from provider_simulator.desk import Desk, NoAnswer, Said

_MAX_BODY = 64 * 1024


class _TooLarge(Exception):
    """The request's body has more than 64 KB."""


class Request:
    """One request, as far as it has come. Names of headers are in lower case."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: dict[bytes, bytes] = {}
        self.body = b""


class Connection(asyncio.Protocol):
    """Reads requests and writes answers, one after another on one connection; the caller waits for each."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._transport: asyncio.Transport
        self._answers: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read on; whoever sends what cannot be read is told so and hung up on."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            why = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else error
            self._answer(HTTPStatus.BAD_REQUEST, {"error": str(why)}, keep=False)

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self._request = Request()

    def on_url(self, url: bytes) -> None:
        """Take a part of the address."""
        self._request.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._request.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._request.body += body
        if len(self._request.body) > _MAX_BODY:
            raise _TooLarge("give a body of at most 64 KB")

    def on_message_complete(self) -> None:
        """Answer what has come."""
        method, keep = self._parser.get_method(), self._parser.should_keep_alive()
        task = asyncio.get_running_loop().create_task(self._reply(method, self._request, keep=keep))
        self._answers.add(task)  # the loop itself would let it be collected
        task.add_done_callback(self._answers.discard)

    async def _reply(self, method: bytes, request: Request, *, keep: bool) -> None:
        try:
            said = await self._said(method, request)
        except NoAnswer:
            self._transport.close()
        except BaseException:
            self._transport.close()
            raise
        else:
            self._answer(*said, keep=keep)

    async def _said(self, method: bytes, request: Request) -> Said:
        parts = urlsplit(request.url.decode("latin-1"))
        if method == b"GET":
            return await self._desk.get(parts.path, parse_qs(parts.query))
        if method != b"POST":
            return HTTPStatus.NOT_IMPLEMENTED, {"error": "GET and POST are all there is"}
        if parts.path == "/weather":
            return self._forecast(request.body)
        key = request.headers.get(b"idempotency-key", b"").decode("latin-1")
        return await self._desk.post(parts.path, key, request.body)

    def _forecast(self, body: bytes) -> Said:
        """Let nobody but this machine make the weather: elsewhere a network lies between."""
        if not ip_address(self._transport.get_extra_info("peername")[0]).is_loopback:
            return HTTPStatus.FORBIDDEN, {"error": "only from this machine"}
        return self._desk.forecast(body)

    def _answer(self, status: HTTPStatus, content: Any, *, keep: bool) -> None:
        body = msgspec.json.encode(content)
        more = "" if keep else "Connection: close\r\n"
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nDate: {_date(int(time.time()))}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"{more}\r\n"
        )
        self._transport.write(head.encode() + body)
        if not keep:
            self._transport.close()


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
