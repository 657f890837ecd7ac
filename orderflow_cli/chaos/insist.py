"""To try again what another fault may be in the way of."""

import subprocess
import time
from collections.abc import Callable

import httpx2

from local_stack.errors import StackError
from orderflow_cli.chaos.outsider import LOST
from orderflow_cli.errors import CommandError

FAILURES = (CommandError, StackError, OSError, subprocess.SubprocessError, httpx2.HTTPError, *LOST)
"""What making or healing a fault may raise while another fault is at work."""
WITHIN_S = 60.0
_PAUSE_S = 2.0


def insist(act: Callable[[], object], within_s: float = WITHIN_S, pause_s: float = _PAUSE_S) -> None:
    """Do something that may be done again, until it succeeds; after `within_s` raise what it fails of."""
    until = time.monotonic() + within_s
    while True:
        try:
            act()
        except FAILURES:
            if time.monotonic() > until:
                raise
            time.sleep(pause_s)
        else:
            return
