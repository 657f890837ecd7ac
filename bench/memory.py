"""What our processes hold: memory after a few orders and after many, and connections to PostgreSQL."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg

from bench import figures
from bench.accounting import kinds_of, processes, proportional_kb
from bench.course import Course
from bench.place import OURS
from orderflow_cli.names import SERVICES

_PART, _REST_S = 10_000, 5.0
_LOOK_S = 0.5
_CONNECTIONS = "SELECT usename, count(*) FROM pg_stat_activity WHERE usename = ANY(%s) GROUP BY usename"


def memory(its: Course) -> None:
    """Start all of our processes anew; compare what each holds after a few orders and after many."""
    its.place.stop(*OURS)
    its.place.start(*OURS)
    first, last = its.size.memory
    with counted_connections(its) as connections:
        its.note("memory", its.saga("memory", orders=first))
    before = _held(its)
    done = first
    while done < last:
        part = min(_PART, last - done)
        its.note("memory", its.saga("memory", orders=part))
        done += part
    after = _held(its)
    its.document["memory"] = compared(before, after, (first, last))
    its.document["connections"] = {**connections, "total": sum(connections.values())}
    its.check()


def compared(before: Mapping[str, int], after: Mapping[str, int], orders: tuple[int, int]) -> dict[str, Any]:
    """Return the memory in MB of each process after so many orders, and how much the second is of the first."""
    return {
        name: {
            f"after_{orders[0]}": round(before[name] / 1024, 1),
            f"after_{orders[1]}": round(after[name] / 1024, 1),
            "ratio": figures.ratio(after[name], before[name]),
        }
        for name in before
        if name in after
    }


def _held(its: Course) -> dict[str, int]:
    """Return the proportional memory in kB of each process with its children, when it is at rest."""
    time.sleep(_REST_S)
    names = {pid: name for name, pid in its.place.pids().items()}
    found = dict.fromkeys(names.values(), 0)
    for pid, name in kinds_of(processes(), names).items():
        found[name] += proportional_kb([pid])
    return found


@contextmanager
def counted_connections(its: Course) -> Iterator[dict[str, int]]:
    """Count, twice a second, each service's connections to PostgreSQL; what is yielded holds the most seen."""
    most: dict[str, int] = dict.fromkeys(SERVICES, 0)
    over = threading.Event()

    def look() -> None:
        with psycopg.connect(its.place.access.postgres_admin_url, autocommit=True) as database:
            while not over.wait(_LOOK_S):
                for user, count in database.execute(_CONNECTIONS, (list(SERVICES),)):
                    most[user] = max(most[user], int(count))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()
