"""Whether the gateway lets requests through to each API: it looks at their health itself, every two seconds."""

import time
from collections.abc import Iterable

from local_stack import http
from local_stack.errors import StackError

_WITHIN_S = 30.0
_POLL_S = 0.1


def await_open(gateway: str, services: Iterable[str]) -> None:
    """Wait until each service answers through the gateway at this address; StackError if one does not."""
    until = time.monotonic() + _WITHIN_S
    for service in services:
        while not _is_open(gateway, service):
            if time.monotonic() > until:
                raise StackError(f"the gateway does not reach {service}: see `./orderflow logs gateway`")
            time.sleep(_POLL_S)


def _is_open(gateway: str, service: str) -> bool:
    """Return whether an API answers through the gateway, if only to ask for a token."""
    answer = http.get(f"http://{gateway}/ops/{service}/dead-letters")
    return answer is not None and answer.status < 500
