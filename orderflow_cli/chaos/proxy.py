"""The fault proxy: stands between each service and each of its servers, and harms what passes.

`python -m orderflow_cli.chaos.proxy --control PORT --route NAME=PORT:HOST:PORT …` listens on 127.0.0.1 alone.
It is told over HTTP what to do: `POST /routes/NAME` with `{"fault": …, "delay_s": …}`.
"""

import argparse
import asyncio
import json
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from orderflow_cli.chaos.wire import Harm, Link, Route

_MAX_BODY = 4096


class Proxy:
    """All routes, and the control that they are told by."""

    def __init__(self, routes: dict[str, tuple[int, Route]]) -> None:
        self._routes = routes

    async def serve(self, control_port: int) -> None:
        """Listen on every route and for orders, until cancelled."""
        loop = asyncio.get_running_loop()
        for port, route in self._routes.values():
            await loop.create_server(_links(route), "127.0.0.1", port, backlog=256)
        control = await asyncio.start_server(self._converse, "127.0.0.1", control_port)
        await control.serve_forever()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            lengths = [line.partition(":")[2] for line in head if line.lower().startswith("content-length:")]
            body = await reader.readexactly(min(int(lengths[0]), _MAX_BODY) if lengths else 0)
            method, path, _ = head[0].split(" ")
            status, answer = self._answer(method, path, body)
        except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            status, answer = "400 Bad Request", {"error": "not a request"}
        content = json.dumps(answer).encode()
        header = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        writer.write(f"{header}Connection: close\r\n\r\n".encode() + content)
        with suppress(OSError):
            await writer.drain()
            writer.close()

    def _answer(self, method: str, path: str, body: bytes) -> tuple[str, dict[str, Any]]:
        if (method, path) == ("GET", "/health/ready"):
            return "200 OK", {"status": "ok"}
        if (method, path) == ("GET", "/routes"):
            found = {name: route.harm.value for name, (_, route) in self._routes.items()}
            return "200 OK", {"routes": found}
        _, route = self._routes.get(path.removeprefix("/routes/"), (0, None))
        if method != "POST" or route is None:
            return "404 Not Found", {"error": "no such route"}
        asked = json.loads(body)
        connections = route.suffer(Harm(asked["fault"]), float(asked.get("delay_s", 0.0)))
        return "200 OK", {"connections": connections}


def _links(route: Route) -> Callable[[], asyncio.Protocol]:
    return lambda: Link(route).near


def route(text: str) -> tuple[str, tuple[int, Route]]:
    """Read `NAME=PORT:HOST:PORT`."""
    name, _, rest = text.partition("=")
    port, host, target = rest.split(":")
    return name, (int(port), Route(name, (host, int(target))))


async def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="fault-proxy", description=__doc__)
    parser.add_argument("--control", type=int, required=True, help="the port that orders come to")
    parser.add_argument("--route", type=route, action="append", default=[], metavar="NAME=PORT:HOST:PORT")
    options = parser.parse_args()
    serving = asyncio.ensure_future(Proxy(dict(options.route)).serve(options.control))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving


if __name__ == "__main__":
    asyncio.run(main())
