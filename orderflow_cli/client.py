"""The command line's way to a deployment's HTTP API: its address, a token, and answers or one line of failure.

The deployment is the one of ORDERFLOW_URL and ORDERFLOW_TOKEN; without them, the local stack of `--data`.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

from orderflow_cli import dev_key
from orderflow_cli.errors import CommandError

LOCAL = "local"
_TIMEOUT_S = 15.0
JSON = dict[str, Any]


@dataclass(frozen=True)
class Deployment:
    """Where the API is. `name` says which deployment was meant in what is written down; `token` is a given one."""

    name: str
    url: str
    data: Path
    token: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is the stack of the data directory, whose processes we may stop and kill."""
        return self.name == LOCAL

    @property
    def has_development_key(self) -> bool:
        """Whether we may sign tokens for anybody; a token that was given says that we may not."""
        return self.token is None and dev_key.key_file(self.data).exists()

    def token_for(self, subject: str, scopes: str) -> str:
        """Return a token for the subject, or the one that was given, whoever it is for."""
        if self.token is not None:
            return self.token
        if not self.has_development_key:
            raise CommandError(f"no token for {self.url}: set ORDERFLOW_TOKEN")
        return dev_key.sign(self.data, subject=subject, scopes=scopes)

    def api(self, subject: str = "operator@orderflow.local", scopes: str = "staff ops") -> "Api":
        """Return the API as this subject sees it."""
        return Api(self.url, self.token_for(subject, scopes))


def deployment(data: Path) -> Deployment:
    """Return the deployment of the environment, or the local stack; CommandError if none runs."""
    token = os.environ.get("ORDERFLOW_TOKEN") or None
    url = os.environ.get("ORDERFLOW_URL", "").rstrip("/")
    if url:
        if not url.startswith(("http://", "https://")):
            raise CommandError("ORDERFLOW_URL must begin with http:// or https://")
        return Deployment(url, url, data, token)
    from local_stack import client

    if not client.running(data):
        raise CommandError(
            f"no stack runs in {data}: start one with `./orderflow up`, or set ORDERFLOW_URL and ORDERFLOW_TOKEN"
        )
    return Deployment(LOCAL, f"http://127.0.0.1:{client.gateway_port(data)}", data, token)


class Api:
    """An HTTP client with a token. It may be used by several threads."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._http = httpx2.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT_S,
            trust_env=not url.startswith("http://127."),  # a proxy must not catch calls to this machine
        )

    def __enter__(self) -> "Api":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """Send a request and return whatever the answer is; a header `idempotency_key` is `Idempotency-Key`.

        Raises httpx2.TransportError if there is no answer.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._http.request(method, path, json=body, headers=named)

    def answer(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """Send a request and return whatever the answer is; CommandError if there is none."""
        try:
            return self.send(method, path, body, **headers)
        except httpx2.TransportError as error:
            raise CommandError(f"{self.url} does not answer: {error or type(error).__name__}") from error

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> JSON:
        """Send a request and return the document that answers it; CommandError if it is refused."""
        response = self.answer(method, path, body, **headers)
        if not response.is_success:
            raise CommandError(f"{method} {path.partition('?')[0]}: {reason(response)}")
        try:
            return dict(response.json())
        except ValueError as error:
            raise CommandError(f"{self.url} answers, but not as Orderflow does") from error

    def get(self, path: str, **query: Any) -> JSON:
        """Return the document at a path; parameters that are None are left out."""
        given = httpx2.QueryParams({name: value for name, value in query.items() if value is not None})
        return self.ask("GET", f"{path}?{given}" if given else path)

    def items(self, path: str, **query: Any) -> list[JSON]:
        """Return all items of a list, page after page."""
        found: list[JSON] = []
        cursor = None
        while True:
            page = self.get(path, **query, cursor=cursor)
            found += page["items"]
            cursor = page.get("next_cursor")
            if not cursor:
                return found


def reason(response: httpx2.Response) -> str:
    """Return, in one line, why a request was refused: the problem's own words if it has any."""
    try:
        problem = json.loads(response.content)
        words = [problem.get("detail") or problem.get("title") or ""]
        words += [
            f"{each.get('pointer', '')} {each.get('detail', '')}" for each in problem.get("errors") or ()
        ]
        said = "; ".join(word.strip() for word in words if word.strip())
    except (ValueError, AttributeError):
        said = ""
    return f"{response.status_code} {said or response.reason_phrase}"
