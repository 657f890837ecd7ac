"""Invariants over messages."""

from collections.abc import Iterator

from orderflow_cli.invariants.reading import Reading
from orderflow_cli.invariants.rules import Finding, between, within
from orderflow_cli.names import SERVICES


@between("messages", *SERVICES)
def no_outbox_row_is_overdue(reading: Reading) -> Iterator[Finding]:
    """What is due leaves within seconds: the same message is not found waiting twice.

    It waits rightly while no relay of its service is connected to the database, or RabbitMQ is away.
    """
    query = """
        SELECT id, type, EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                                 AND application_name = %(relay)s) AS has_relay
        FROM outbox
        WHERE available_at < now() - interval '2 seconds'
        ORDER BY available_at LIMIT 1000
    """
    for service in SERVICES:
        for row in reading.rows(service, query, relay=f"{service}-relay"):
            away = "RabbitMQ" if reading.broker_is_away else "" if row.has_relay else f"{service}-relay"
            yield Finding(str(row.id), f"{service}: {row.type} is due and does not leave", waits_for=away)


@within("messages", *SERVICES)
def dead_letters_are_accounted_for(reading: Reading) -> Iterator[Finding]:
    """Every dead letter has its cause, and is open, or was closed by somebody; discarded only with a reason."""
    query = """
        SELECT id, type, status, resolved_by FROM dead_letters
        WHERE cause = '' OR reason = '' OR (status = 'open') <> (resolved_at IS NULL)
           OR (status <> 'open' AND coalesce(resolved_by, '') = '')
           OR (status = 'discarded' AND coalesce(resolution, '') = '')
    """
    for service in SERVICES:
        for row in reading.rows(service, query):
            by = f"by {row.resolved_by}" if row.resolved_by else "by nobody"
            yield Finding(
                str(row.id), f"{service}: {row.type or 'unreadable'} is {row.status} {by}, without a word"
            )


@between("messages")
def dead_letter_queues_are_emptied(reading: Reading) -> Iterator[Finding]:
    """What lies in `<service>.dead` is brought into the service's table within seconds."""
    for queue, count in (reading.dead_letter_queues or {}).items():
        if count:
            yield Finding(queue, "is not being emptied")


RULES = (no_outbox_row_is_overdue, dead_letters_are_accounted_for, dead_letter_queues_are_emptied)
