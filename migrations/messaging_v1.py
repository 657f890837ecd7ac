"""The tables of messaging, as each service's first migration makes them. Never change this: write a new step."""

from alembic import op

_STATEMENTS = """
CREATE TABLE outbox (
    id uuid PRIMARY KEY,
    type text NOT NULL,
    subject text NOT NULL,
    correlation_id uuid NOT NULL,
    causation_id uuid,
    exchange text NOT NULL,
    routing_key text NOT NULL,
    timer_key text,
    body bytea NOT NULL,
    headers jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    available_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX outbox_available_at ON outbox (available_at);
CREATE INDEX outbox_timer_key ON outbox (timer_key) WHERE timer_key IS NOT NULL;
CREATE INDEX outbox_correlation_id ON outbox (correlation_id);

CREATE TABLE inbox (
    message_id uuid PRIMARY KEY,
    type text NOT NULL,
    source text NOT NULL,
    correlation_id uuid NOT NULL,
    causation_id uuid,
    sent_at timestamptz NOT NULL,
    handled_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 1
);
CREATE INDEX inbox_correlation_id ON inbox (correlation_id);
CREATE INDEX inbox_handled_at ON inbox USING brin (handled_at);

CREATE TABLE dead_letters (
    id uuid PRIMARY KEY,
    message_id uuid,
    type text,
    source text,
    subject text,
    correlation_id uuid,
    queue text NOT NULL,
    cause text NOT NULL,
    reason text NOT NULL,
    traceback text NOT NULL DEFAULT '',
    attempts integer NOT NULL DEFAULT 0,
    body bytea NOT NULL,
    headers jsonb NOT NULL,
    died_at timestamptz NOT NULL DEFAULT now(),
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'replayed', 'discarded', 'handled')),
    resolved_at timestamptz,
    resolved_by text,
    resolution text
);
CREATE UNIQUE INDEX dead_letters_open_message ON dead_letters (message_id, queue) WHERE status = 'open';
CREATE INDEX dead_letters_open ON dead_letters (cause, type) WHERE status = 'open';
CREATE INDEX dead_letters_correlation_id ON dead_letters (correlation_id);

CREATE TABLE relay_state (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    asleep boolean NOT NULL
);
INSERT INTO relay_state (asleep) VALUES (false);

CREATE TABLE idempotency_keys (
    subject text NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status integer NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subject, method, path, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys USING brin (created_at)
"""


def create_messaging_tables() -> None:
    """Make outbox, inbox, dead_letters, relay_state and idempotency_keys."""
    for statement in _STATEMENTS.split(";\n"):
        op.execute(statement)
