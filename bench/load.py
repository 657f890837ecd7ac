"""Runs the generator as a process of its own, so that its CPU is known apart."""

import json
import os
import subprocess
import sys
from dataclasses import asdict

from bench.generator import Sent, Wanted
from orderflow_cli.errors import CommandError
from orderflow_cli.options import ROOT

_SLOWEST = 5.0
"""Orders a second: whoever answers fewer is given up."""
_ALL = {"202"}


def limit_s(orders: int, rate: float | None) -> int:
    """Return after how many seconds a load is given up, whatever it waits for."""
    return 60 + int(orders / min(_SLOWEST, rate or _SLOWEST))


def send(wanted: Wanted) -> Sent:
    """Send a load and return what came of it; CommandError if an order was not accepted."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.generator"],
        input=json.dumps(asdict(wanted)),
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise CommandError(f"the load {wanted.run} failed: {said[-1]}")
    sent = Sent(**json.loads(done.stdout))
    sent.accepted = [(number, order_id) for number, order_id in sent.accepted]
    if sent.statuses.keys() != _ALL:
        raise CommandError(f"the load {wanted.run} was answered {sent.statuses}: {sent.refusal}")
    return sent
