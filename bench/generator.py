"""The customers: a process that sends orders to an API and notes how long each answer took.

`python -m bench.generator` reads a Wanted as JSON from standard input and prints a Sent. Raw HTTP over asyncio, so that
it costs a small part of what it measures. It ends by itself: with its parent, and when its time is over.
"""

import asyncio
import ctypes
import json
import os
import random
import resource
import signal
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field

_PR_SET_PDEATHSIG = 1
_ADDRESS = {
    "name": "Bench",
    "street": "1 Example Street",
    "city": "Berlin",
    "postal_code": "10115",
    "country": "DE",
}
_ACCEPTED = 202


@dataclass(frozen=True)
class Wanted:
    """What to send: so many orders under keys and a reference of the run, to the API processes on these ports in turn.

    `rate`: orders a second, each due at a fixed time whatever became of those before it (open loop); None sends the
    next order of a connection when the one before it is answered (closed loop). `hot`: one SKU in every order.
    """

    ports: list[int]
    run: str
    tokens: list[str]
    skus: list[str]
    orders: int
    connections: int
    parent: int
    limit_s: int
    rate: float | None = None
    hot: str | None = None
    lines: int = 3


@dataclass
class Sent:
    """What came back; times in seconds since 1970, latencies in ms from the moment an order was due.

    `accepted` has (number, id) of each order that was answered 202; order `number` was sent with the token of
    that number, counted round, and the key `<run>-<number>`.
    """

    began: float = 0.0
    ended: float = 0.0
    cpu_s: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    accepted: list[tuple[int, str]] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    refusal: str = ""


class Orders:
    """Writes the request of each number; the same run gives the same requests."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._draw = random.Random(wanted.run)  # noqa: S311  no secret
        rest = {"payment_method": "tok_visa", "shipping_address": _ADDRESS, "reference": wanted.run}
        self._rest = json.dumps(rest)[1:]
        self._heads = [
            f"POST /v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nAccept: application/json\r\n"
            for token in wanted.tokens
        ]

    def request(self, number: int) -> bytes:
        """Return the bytes of an order."""
        its = self._wanted
        skus = self._draw.sample(its.skus, its.lines - bool(its.hot))
        lines = ",".join(f'{{"sku":"{sku}","quantity":1}}' for sku in ([its.hot] if its.hot else []) + skus)
        body = f'{{"lines":[{lines}],{self._rest}'
        head = self._heads[number % len(self._heads)]
        return (
            f"{head}Idempotency-Key: {its.run}-{number}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )


class Connection(asyncio.Protocol):
    """One kept-alive connection with at most one request on its way."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._number, self._due = -1, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to write."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  TCP gives no other
        self._transport = transport

    def send(self, number: int, due: float) -> None:
        """Send an order that was due at a time of the loop's clock."""
        self._number, self._due = number, due
        if self._transport is not None:
            self._transport.write(self._load.orders.request(number))

    def data_received(self, data: bytes) -> None:
        """Gather an answer; when it is whole, note it."""
        self._received += data
        answer = parse(self._received)
        if answer is not None:
            self._received = b""
            self._load.note(self, self._number, self._due, answer)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the load, unless it is over."""
        self._load.lost(error)


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    location: str
    body: bytes


def parse(received: bytes) -> Answer | None:
    """Return the answer in the bytes so far; None while it is not whole. ValueError if its length is not given."""
    head, blank, body = received.partition(b"\r\n\r\n")
    if not blank:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "content-length" not in headers:
        raise ValueError(f"an answer without Content-Length: {first}")
    if len(body) < int(headers["content-length"]):
        return None
    return Answer(int(first.split(" ", 2)[1]), headers.get("location", ""), body)


class Load:
    """All orders of a run, over connections that are opened before the first."""

    def __init__(self, wanted: Wanted) -> None:
        self.orders = Orders(wanted)
        self.sent = Sent()
        self._wanted = wanted
        self._next = self._answered = 0
        self._statuses: Counter[str] = Counter()
        self._idle: deque[Connection] = deque()
        self._waiting: deque[tuple[int, float]] = deque()
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> Sent:
        """Send all, and return when each has its answer."""
        its = self._wanted
        for number in range(min(its.connections, its.orders)):
            port = its.ports[number % len(its.ports)]
            _, made = await self._loop.create_connection(lambda: Connection(self), "127.0.0.1", port)
            self._idle.append(made)
        self.sent.began = time.time()
        if its.rate is None:
            while self._idle:
                self._send_next(self._idle.popleft())
        else:
            self._come(0, self._loop.time(), its.rate)
        await self._over
        self.sent.ended = time.time()
        self.sent.statuses = dict(self._statuses)
        return self.sent

    def _come(self, number: int, began: float, rate: float) -> None:
        """Let an order come at its time, whether or not anybody is free to send it, and the next at its own."""
        if number == self._wanted.orders:
            return
        due = began + due_s(number, rate)
        self._waiting.append((number, due))
        self._send_waiting()
        self._loop.call_at(began + due_s(number + 1, rate), self._come, number + 1, began, rate)

    def _send_waiting(self) -> None:
        while self._waiting and self._idle:
            self._idle.popleft().send(*self._waiting.popleft())

    def _send_next(self, connection: Connection) -> None:
        if self._next < self._wanted.orders:
            self._next += 1
            connection.send(self._next - 1, self._loop.time())

    def note(self, connection: Connection, number: int, due: float, answer: Answer) -> None:
        """Note an answer, and give the connection what is next."""
        self.sent.latencies_ms.append(round((self._loop.time() - due) * 1000, 3))
        self._statuses[str(answer.status)] += 1
        if answer.status == _ACCEPTED:
            self.sent.accepted.append((number, answer.location.rpartition("/")[2]))
        else:
            self.sent.refusal = self.sent.refusal or answer.body[:400].decode(errors="replace")
        self._answered += 1
        if self._answered == self._wanted.orders:
            self._over.set_result(None)
        elif self._wanted.rate is None:
            self._send_next(connection)
        else:
            self._idle.append(connection)
            self._send_waiting()

    def lost(self, error: Exception | None) -> None:
        """End with an error if a connection ends before all is answered."""
        if not self._over.done():
            self._over.set_exception(error or ConnectionError("the API closed a connection"))


def due_s(number: int, rate: float) -> float:
    """Return when an order of an open loop is due, in seconds after the first: at an even pace."""
    return number / rate


def _end_with(parent: int, limit_s: int) -> None:
    """Have the kernel end us with our parent, and after the limit."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the bench is gone")
    signal.alarm(limit_s)


async def _run(wanted: Wanted) -> Sent:
    return await Load(wanted).run()


def main() -> None:
    """Send what standard input wants."""
    wanted = Wanted(**json.load(sys.stdin))
    _end_with(wanted.parent, wanted.limit_s)
    sent = asyncio.run(_run(wanted))
    used = resource.getrusage(resource.RUSAGE_SELF)
    sent.cpu_s = round(used.ru_utime + used.ru_stime, 3)
    json.dump(asdict(sent), sys.stdout)


if __name__ == "__main__":
    main()
