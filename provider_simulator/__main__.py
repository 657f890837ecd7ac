"""`python -m provider_simulator --host H --port P --store FILE`."""

import argparse
import signal
import sqlite3
import sys
import threading

from provider_simulator.books import Books
from provider_simulator.server import serve


def main() -> int:
    """Serve until SIGTERM or SIGINT; 1 if the address or the file cannot be had."""
    options = _options()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        books = Books(options.store)
        server = serve(options.host, options.port, books, stopping)
    except (OSError, sqlite3.Error) as error:
        print(f"provider-simulator: {error}", file=sys.stderr)
        return 1
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    host, port = server.server_address[:2]
    print(f"provider-simulator listens on http://{host!s}:{port}", flush=True)
    stopping.wait()
    server.shutdown()
    server.server_close()
    books.close()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="provider_simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one and prints it")
    parser.add_argument("--store", required=True, help="the SQLite file that holds the books")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
