#!/usr/bin/env python3
"""Exit 0 if the process of this container answers a probe with 200, else 1.

`healthy.py [PORT] [PATH]`; without a port that of ORDERFLOW_PROBE_ADDRESS, without a path `/health/ready`.
Sockets only: it runs every few seconds in every container, and a client library would take longer to load than
the answer takes.
"""

import os
import socket
import sys


def main() -> int:
    """Ask once."""
    port = sys.argv[1] if len(sys.argv) > 1 else os.environ["ORDERFLOW_PROBE_ADDRESS"].rpartition(":")[2]
    path = sys.argv[2] if len(sys.argv) > 2 else "/health/ready"
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=3) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            status_line = connection.makefile("rb").readline().split()
    except OSError as error:
        print(error)
        return 1
    print(b" ".join(status_line).decode("latin-1"))
    return 0 if status_line[1:2] == [b"200"] else 1


if __name__ == "__main__":
    sys.exit(main())
