"""`python -m provider_simulator --host H --port P --store FILE`."""

import argparse
import asyncio
import signal
import sqlite3
import sys

from provider_simulator.books import Books
from provider_simulator.desk import Desk
from provider_simulator.server import Connection


def main() -> int:
    """Serve until SIGTERM or SIGINT; 1 if the address or the file cannot be had."""
    try:
        asyncio.run(_serve(_options()))
    except (OSError, sqlite3.Error) as error:
        print(f"provider-simulator: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(options: argparse.Namespace) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    books = Books(options.store)
    desk = Desk(books, stopping)
    server = await loop.create_server(lambda: Connection(desk), options.host, options.port, backlog=128)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"provider-simulator listens on http://{host!s}:{port}", flush=True)
    await stopping.wait()
    server.close()
    books.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="provider_simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one and prints it")
    parser.add_argument("--store", required=True, help="the SQLite file that holds the books")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
