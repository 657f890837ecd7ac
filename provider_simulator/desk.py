"""What the simulator answers: from its books, in the manner of each payment method, and as the weather is."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any, NoReturn
from urllib.parse import unquote

import msgspec

from provider_simulator.books import Answer, Books
from provider_simulator.methods import METHODS, UNKNOWN
from provider_simulator.weather import Forecast, Kind, Weather

_ENDLESS_S = 30.0
"""How long a lost answer keeps its caller waiting; then the connection is closed without one."""

_MAX_PAGE = 1000

Said = tuple[HTTPStatus, Any]
Call = Callable[[str, bytes], Awaitable[Said]]
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

    def __init__(self, books: Books, stopping: asyncio.Event) -> None:
        self._books = books
        self._stopping = stopping
        self._weather = Weather()
        self._posts: dict[str, Call] = {
            "/authorizations": self._authorize,
            "/captures": self._capture,
            "/refunds": self._refund,
            "/voids": self._void,
        }

    async def post(self, path: str, key: str | None, body: bytes) -> Said:
        """Answer a POST."""
        call = self._posts.get(path)
        if call is None:
            return HTTPStatus.NOT_FOUND, {"error": "no such path"}
        if not key:
            return HTTPStatus.BAD_REQUEST, {"error": "Idempotency-Key is missing"}
        if storm := await self._storm():
            return storm
        try:
            said = await call(key, body)
        except msgspec.MsgspecError as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        if self._weather.now.kind is Kind.TIMEOUTS:
            await self._lose_the_answer()
        return said

    def forecast(self, body: bytes) -> Said:
        """Change the weather."""
        try:
            self._weather.become(msgspec.json.decode(body, type=Forecast))
        except msgspec.MsgspecError as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}
        return HTTPStatus.OK, {"weather": self._weather.now.kind.value}

    async def get(self, path: str, query: dict[str, list[str]]) -> Said:
        """Answer a GET."""
        if path in {"/health/live", "/health/ready"}:
            return HTTPStatus.OK, {"status": "ok"}
        if storm := await self._storm():
            return storm
        if path.startswith("/calls/"):
            answer = self._books.lookup(unquote(path.removeprefix("/calls/")))
            return _said(answer) if answer else (HTTPStatus.NOT_FOUND, {"error": "unknown key"})
        if path == "/records":
            return self._records(query)
        return HTTPStatus.NOT_FOUND, {"error": "no such path"}

    async def _authorize(self, key: str, body: bytes) -> Said:
        asked = msgspec.json.decode(body, type=Authorization)
        method = METHODS.get(asked.method, UNKNOWN)
        if method.turns_away and self._books.turn_away(key, method.turns_away):
            return HTTPStatus.SERVICE_UNAVAILABLE, {"error": "try again"}
        answer = self._books.authorize(key, **msgspec.structs.asdict(asked), refusal=method.refusal)
        if method.first_answer_lost and answer.first:
            await self._lose_the_answer()
        await self._wait(method.answers_after_s)
        return _said(answer)

    async def _capture(self, key: str, body: bytes) -> Said:
        return _said(self._books.capture(key, **_fields(body, Movement)))

    async def _refund(self, key: str, body: bytes) -> Said:
        return _said(self._books.refund(key, **_fields(body, Movement)))

    async def _void(self, key: str, body: bytes) -> Said:
        return _said(self._books.void(key, **_fields(body, Release)))

    async def _storm(self) -> Said | None:
        """Wait as long as the weather wants; return what it answers by itself."""
        now = self._weather.now
        if now.kind is Kind.ERRORS:
            return HTTPStatus.SERVICE_UNAVAILABLE, {"error": "bad weather"}
        if now.kind is Kind.SLOW:
            await self._wait(now.slow_s)
        return None

    async def _lose_the_answer(self) -> NoReturn:
        await self._wait(_ENDLESS_S)
        raise NoAnswer

    async def _wait(self, seconds: float) -> None:
        """Wait so long, or until the simulator stops."""
        if seconds:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)

    def _records(self, query: dict[str, list[str]]) -> Said:
        try:
            after = int(query.get("after", ["0"])[0])
            limit = min(int(query.get("limit", ["500"])[0]), _MAX_PAGE)
        except ValueError:
            return HTTPStatus.BAD_REQUEST, {"error": "after and limit are whole numbers"}
        order_id = query.get("order_id", [None])[0]
        items = self._books.records(order_id=order_id, after=after, limit=limit)
        return HTTPStatus.OK, {"items": items, "next_after": items[-1]["position"] if items else None}


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
