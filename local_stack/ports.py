"""Free ports on 127.0.0.1.

Chosen below the range that the kernel hands out for outgoing connections: a client that keeps dialling a
server which is down could otherwise be given that very port, connect to itself, and keep the server out.
"""

import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST, _LAST = 20_000, 32_768
_chosen: set[int] = set()


def free_port() -> int:
    """Return a port that nothing listens on and that this process has not been given before."""
    low, high = _candidates()
    for _ in range(1000):
        port = random.randrange(low, high)  # noqa: S311 - not a secret
        if port not in _chosen and is_free(port):
            _chosen.add(port)
            return port
    raise OSError("no free port on 127.0.0.1")


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a server could listen on this port now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True


def _candidates() -> tuple[int, int]:
    try:
        first_outgoing = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        first_outgoing = _LAST
    last = min(_LAST, first_outgoing)
    return (_FIRST, last) if last - _FIRST > 1000 else (10_000, 65_000)
