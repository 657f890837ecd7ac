"""Starts, stops and kills a real provider simulator."""

import subprocess
import sys
from pathlib import Path


class SimulatorProcess:
    """`python -m provider_simulator` on a free port, with books that outlive it."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it; a restart keeps the port."""
        command = [sys.executable, "-m", "provider_simulator", "--port", str(self._port)]
        self._process = subprocess.Popen(
            [*command, "--store", str(self._store)], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline().rpartition(":")[2])

    def stop(self) -> None:
        self._end("terminate")

    def kill(self) -> None:
        self._end("kill")

    def _end(self, how: str) -> None:
        if self._process is not None:
            getattr(self._process, how)()
            self._process.communicate(timeout=5)
            self._process = None
