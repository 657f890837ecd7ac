"""How the command line speaks to a running supervisor: one line of JSON there, one back, over a Unix socket.

A socket's path may hold 107 bytes, which a data directory easily exceeds: both sides name it through an open
directory, /proc/self/fd/N, which is always short.
"""

import json
import os
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from local_stack.errors import StackError

_NAME = "control.sock"
_LONGEST = 1 << 20


class NoStackError(StackError):
    """No supervisor answers in this data directory."""


def ask(data: Path, verb: str, *, within_s: float = 30, **arguments: Any) -> dict[str, Any]:
    """Send a request to the supervisor of a data directory and return its answer.

    Raises NoStackError if there is none, StackError with its words if it refuses.
    """
    request = json.dumps({"verb": verb, **arguments}).encode() + b"\n"
    try:
        with _short_path(data) as path, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(within_s)
            connection.connect(path)
            connection.sendall(request)
            answer = json.loads(_line(connection))
    except TimeoutError as error:
        raise NoStackError(f"the stack in {data} has not answered for {within_s:g} s") from error
    except (OSError, ValueError) as error:
        raise NoStackError(f"no stack is running in {data}: start one with `./orderflow up`") from error
    if "refused" in answer:
        raise StackError(answer["refused"])
    return dict(answer)


class Listener:
    """The supervisor's side: answers each request with what `answer` returns, one thread per connection."""

    def __init__(self, data: Path, answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._answer = answer
        self._path = data / _NAME
        self._socket = socket.socket(socket.AF_UNIX)
        with suppress(FileNotFoundError):
            self._path.unlink()
        with _short_path(data) as path:
            self._socket.bind(path)
        self._path.chmod(0o600)
        self._socket.listen(16)
        threading.Thread(target=self._serve, name="control", daemon=True).start()

    def close(self) -> None:
        """Listen no longer."""
        self._socket.close()
        with suppress(FileNotFoundError):
            self._path.unlink()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(10)
            connection.sendall(json.dumps(self._reply(connection)).encode() + b"\n")

    def _reply(self, connection: socket.socket) -> dict[str, Any]:
        try:
            request = json.loads(_line(connection))
        except ValueError:
            return {"refused": "not a request"}
        try:
            return self._answer(request)
        except StackError as error:
            return {"refused": error.format_message()}
        except Exception as error:  # a fault of ours: whoever asks is told, and the log has all of it
            traceback.print_exc()
            return {"refused": f"the stack failed at this: {error!r}"}


def _line(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        part = connection.recv(65536)
        if not part or len(received) > _LONGEST:
            raise ValueError("the other side ended in the middle")
        received += part
    return received


@contextmanager
def _short_path(data: Path) -> Iterator[str]:
    folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{_NAME}"
    finally:
        os.close(folder)
