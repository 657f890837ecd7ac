"""Orders that were answered 202, written down before they count: `check` later asks Orders for each of them.

One file for each run of `demo`, `bench` or `chaos`: `<data>/accepted/<run>.jsonl`.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from orderflow_cli.errors import CommandError


@dataclass(frozen=True)
class Accepted:
    """An answer that promised an order: the order's id, and the key and subject that it was promised to."""

    deployment: str
    subject: str
    key: str
    id: str


class Ledger:
    """The file of one run; several threads may write."""

    def __init__(self, data: Path, run: str, deployment: str) -> None:
        self._deployment = deployment
        self._lock = threading.Lock()
        self._ids: dict[str, str] = {}
        folder = data / "accepted"
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / f"{run}.jsonl").open("a", encoding="utf-8")

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, subject: str, key: str, order_id: str) -> None:
        """Note a 202, and only then count it."""
        line = json.dumps(asdict(Accepted(self._deployment, subject, key, order_id)))
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()
            self._ids[order_id] = key

    @property
    def ids(self) -> frozenset[str]:
        """The orders noted so far."""
        with self._lock:
            return frozenset(self._ids)


def read(data: Path, deployment: str) -> list[Accepted]:
    """Return everything that was ever written down about a deployment."""
    return [each for path in sorted((data / "accepted").glob("*.jsonl")) for each in _read(path, deployment)]


def _read(path: Path, deployment: str) -> Iterator[Accepted]:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if not line.endswith("\n"):
            continue  # its writer died in the middle: this one was never counted
        try:
            each = Accepted(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise CommandError(f"{path}, line {number} is damaged: remove it, or the file") from error
        if each.deployment == deployment:
            yield each
