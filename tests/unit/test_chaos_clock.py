"""A process with its clock off: it believes another time, and sleeps as long as it is told to."""

import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

ASK = "import datetime, time; time.sleep(0.2); print(datetime.datetime.now(datetime.UTC).isoformat(), time.time())"


@pytest.mark.parametrize("off_s", [86_400.0, -86_400.0])
def test_a_module_runs_a_day_off_and_its_sleep_is_real(off_s: float) -> None:
    command = ["-m", "orderflow_cli.chaos.off_clock", str(off_s), "timeit", "-n1", "-r1", ASK]
    began = time.monotonic()
    said = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True).stdout

    believed, timestamp = said.splitlines()[0].split(" ")
    assert abs((datetime.fromisoformat(believed) - datetime.now(UTC)).total_seconds() - off_s) < 30
    assert abs(float(timestamp) - time.time() - off_s) < 30
    assert time.monotonic() - began >= 0.2
