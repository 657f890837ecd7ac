"""The one kind of HTTP request that probes make: a GET with a short time-out, where silence is an answer."""

import base64
import http.client
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes


def get(url: str, *, seconds: float = 2.0) -> Answer | None:
    """Return the answer to a GET of an http:// URL, which may hold user and password; None for silence."""
    parts = urlsplit(url)
    headers = {}
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=seconds)
    try:
        connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
