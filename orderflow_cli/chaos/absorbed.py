"""How many duplicates the inboxes absorbed, as the workers count them (`orderflow_duplicates_absorbed_total`)."""

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from local_stack import client, http
from local_stack.errors import StackError

_EVERY_S = 1.0
_NAME = b"orderflow_duplicates_absorbed_total "


class Absorbed:
    """Reads every worker each second: a process that is killed takes its count with it, but for the last second's.

    So the sum is a lower bound. What was counted before we began does not belong to us.
    """

    def __init__(self, data: Path) -> None:
        self._data = data
        self._first: dict[tuple[str, int], float] = {}
        self._last: dict[tuple[str, int], float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="absorbed", daemon=True)

    def __enter__(self) -> "Absorbed":
        self._look(begin=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def total(self) -> int:
        """How many so far."""
        last = dict(self._last)
        return int(sum(last.values()) - sum(self._first.get(process, 0.0) for process in last))

    def _run(self) -> None:
        with ThreadPoolExecutor(5) as pool:
            while not self._stop.wait(_EVERY_S):
                with suppress(StackError):
                    self._look(pool=pool)

    def _look(self, *, begin: bool = False, pool: ThreadPoolExecutor | None = None) -> None:
        workers = [each for each in client.processes(self._data) if each["role"] == "worker" and each["pid"]]
        addresses = [each["address"] for each in workers]
        pages = pool.map(_read, addresses) if pool else map(_read, addresses)
        for worker, count in zip(workers, pages, strict=True):
            if count is not None:
                process = (str(worker["name"]), int(worker["pid"]))
                self._last[process] = count
                if begin:
                    self._first[process] = count


def _read(address: str) -> float | None:
    answer = http.get(f"http://{address}/metrics")
    return counted(answer.body.splitlines()) if answer is not None and answer.status == 200 else None


def counted(lines: Iterable[bytes]) -> float:
    """Return the counter's value on a page of metrics."""
    return sum(float(line.removeprefix(_NAME)) for line in lines if line.startswith(_NAME))
