"""The fault proxy, on real sockets: an echo server behind one route."""

import json
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress

import pytest

from local_stack import http
from local_stack.ports import free_port


class Echo:
    """Sends back what it gets; says how many connections it lost to a reset, and how many ended well."""

    def __init__(self) -> None:
        self.resets, self.ends = 0, 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        try:
            while data := connection.recv(65536):
                connection.sendall(data)
            self.ends += 1
        except OSError:
            self.resets += 1
        connection.close()

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # ends `accept`, which keeps a closed socket listening
        self._socket.close()


class Proxied:
    """An echo server behind a proxy process with the one route `echo`."""

    def __init__(self, echo: Echo, port: int, control: int) -> None:
        self.echo = echo
        self._port, self._control = port, control

    def connect(self, seconds: float = 5.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=seconds)

    def suffer(self, fault: str, delay_s: float = 0.0) -> int:
        body = json.dumps({"fault": fault, "delay_s": delay_s}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self._control}/routes/echo", body)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(json.load(answer)["connections"])


@pytest.fixture
def proxied() -> Iterator[Proxied]:
    echo, port, control = Echo(), free_port(), free_port()
    routes = ["--control", str(control), f"--route=echo={port}:127.0.0.1:{echo.port}"]
    process = subprocess.Popen([sys.executable, "-m", "orderflow_cli.chaos.proxy", *routes])
    until = time.monotonic() + 20
    while http.get(f"http://127.0.0.1:{control}/health/ready") is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    yield Proxied(echo, port, control)
    process.terminate()
    assert process.wait(10) == 0
    echo.close()


def say(connection: socket.socket, text: bytes) -> bytes:
    connection.sendall(text)
    return receive(connection, len(text))


def receive(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count and (part := connection.recv(count - len(found))):
        found += part
    return found


def eventually(holds: object, seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def is_silent(connection: socket.socket, seconds: float = 0.4) -> bool:
    connection.settimeout(seconds)
    try:
        connection.recv(1)
    except TimeoutError:
        connection.settimeout(5)
        return True
    return False


def test_unharmed_it_passes_everything_on_both_ways_and_the_end_too(proxied: Proxied) -> None:
    much = bytes(range(256)) * 20_000
    connection = proxied.connect()
    threading.Thread(target=connection.sendall, args=(much,), daemon=True).start()

    came_back = receive(connection, len(much))
    connection.close()

    assert came_back == much
    assert eventually(lambda: proxied.echo.ends == 1)


def test_a_cut_resets_both_sides_and_new_connections_are_fine(proxied: Proxied) -> None:
    connection = proxied.connect()
    say(connection, b"hello")

    assert proxied.suffer("cut") == 1

    with pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert eventually(lambda: proxied.echo.resets == 1)
    assert say(proxied.connect(), b"again") == b"again"


def test_latency_delays_and_keeps_the_order_also_when_it_is_healed_in_the_middle(proxied: Proxied) -> None:
    connection = proxied.connect()
    say(connection, b"warm")
    proxied.suffer("latency", 0.3)

    began = time.monotonic()
    assert say(connection, b"slow") == b"slow"
    assert time.monotonic() - began >= 0.6  # there and back
    connection.sendall(b"first ")
    proxied.suffer("heal")
    connection.sendall(b"second")

    assert receive(connection, 12) == b"first second"


def test_a_black_hole_holds_data_and_ends_until_it_is_healed(proxied: Proxied) -> None:
    connection, leaver = proxied.connect(), proxied.connect()
    say(connection, b"hello")
    say(leaver, b"hello")
    proxied.suffer("black-hole")

    connection.sendall(b"anybody?")
    leaver.close()
    newcomer = proxied.connect()
    newcomer.sendall(b"me too")

    assert is_silent(connection)
    assert is_silent(newcomer)
    assert proxied.echo.ends == 0  # the server does not learn that one has left
    proxied.suffer("heal")
    assert receive(connection, 8) == b"anybody?"
    assert receive(newcomer, 6) == b"me too"
    assert eventually(lambda: proxied.echo.ends == 1)


def test_half_open_the_server_has_gone_and_the_client_does_not_know(proxied: Proxied) -> None:
    connection = proxied.connect()
    say(connection, b"hello")

    proxied.suffer("half-open")

    assert eventually(lambda: proxied.echo.resets == 1)
    connection.sendall(b"still there?")
    assert is_silent(connection)
    assert say(proxied.connect(), b"new") == b"new"
    proxied.suffer("heal")
    with pytest.raises(ConnectionResetError):
        connection.recv(1)


def test_a_server_that_is_away_ends_the_client_s_connection(proxied: Proxied) -> None:
    proxied.echo.close()

    with suppress(ConnectionResetError):  # as early as in `connect`
        assert proxied.connect().recv(1) == b""


def test_a_reset_by_the_client_reaches_the_server(proxied: Proxied) -> None:
    connection = proxied.connect()
    say(connection, b"hello")

    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()

    assert eventually(lambda: proxied.echo.resets + proxied.echo.ends == 1)
