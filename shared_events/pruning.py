"""Keeps the cost of a service's tables from growing with its age: old inbox rows go in small batches.

A replay after its inbox row was pruned does no harm: commands are idempotent by (order, step) for ever.
"""

import logging
import threading

from sqlalchemy import Connection, Engine

from shared_events import database

log = logging.getLogger(__name__)
KEPT_DAYS = 14
EVERY_S = 60.0
BATCH = 5_000

_PRUNE = {
    "inbox": f"handled_at < now() - interval '{KEPT_DAYS} days'",
    "idempotency_keys": "created_at < now() - interval '24 hours'",
    "dead_letters": "status <> 'open' AND resolved_at < now() - interval '90 days'",
}


def prune(connection: Connection) -> int:
    """Delete one batch of each kind of old row; return how many rows went."""
    connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
    gone = 0
    for table, old in _PRUNE.items():
        gone += connection.exec_driver_sql(
            f"DELETE FROM {table} WHERE ctid IN (SELECT ctid FROM {table} WHERE {old} LIMIT {BATCH})"  # noqa: S608
        ).rowcount
    return gone


def run(engine: Engine, stop: threading.Event) -> None:
    """Prune every minute, more often while there is much to prune, until `stop` is set."""
    while not stop.is_set():
        gone = 0
        try:
            with engine.begin() as connection:
                gone = prune(connection)
        except database.LOST as error:
            log.warning("pruning waits: %s", error)
        stop.wait(1.0 if gone >= BATCH else EVERY_S)
