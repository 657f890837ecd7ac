"""Payments: payments, the calls wanted of the provider, and refunds."""

from alembic import op

from migrations.messaging_v1 import create_messaging_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE payments (
    id uuid NOT NULL,
    order_id uuid NOT NULL,
    customer_id uuid,
    amount bigint,
    currency text,
    method text NOT NULL,
    status text NOT NULL,
    void_requested boolean NOT NULL,
    void_reason text NOT NULL,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id),
    CONSTRAINT known_status CHECK (status IN
        ('authorizing', 'authorized', 'declined', 'capturing', 'captured', 'voiding', 'voided', 'refunding', 'refunded')),
    CONSTRAINT no_negative_amount CHECK (amount >= 0),
    UNIQUE (order_id)
) WITH (fillfactor = 70);
CREATE INDEX payments_of_a_customer ON payments (customer_id, id);
CREATE TABLE intents (
    id uuid NOT NULL,
    payment_id uuid NOT NULL,
    order_id uuid NOT NULL,
    operation text NOT NULL,
    provider_key text NOT NULL,
    status text NOT NULL,
    lease_token uuid,
    leased_until timestamptz,
    attempts integer NOT NULL,
    refusals integer NOT NULL,
    doubted boolean NOT NULL,
    reference text NOT NULL,
    code text NOT NULL,
    detail text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id),
    CONSTRAINT one_intent_per_order_and_operation UNIQUE (order_id, operation),
    CONSTRAINT known_operation CHECK (operation IN
        ('authorize', 'capture', 'void', 'refund')),
    CONSTRAINT known_status CHECK (status IN
        ('waiting', 'leased', 'in_doubt', 'succeeded', 'refused', 'closed')),
    FOREIGN KEY(payment_id) REFERENCES payments (id),
    UNIQUE (provider_key)
) WITH (fillfactor = 70);
CREATE INDEX intents_of_a_payment ON intents (payment_id);
CREATE INDEX open_intents ON intents (updated_at) WHERE status IN ('waiting', 'leased', 'in_doubt');
CREATE TABLE refunds (
    id uuid NOT NULL,
    payment_id uuid NOT NULL,
    order_id uuid NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    reason text NOT NULL,
    requested_by text NOT NULL,
    status text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id),
    CONSTRAINT known_status CHECK (status IN
        ('pending', 'succeeded')),
    CONSTRAINT no_negative_amount CHECK (amount >= 0),
    UNIQUE (payment_id),
    FOREIGN KEY(payment_id) REFERENCES payments (id)
) WITH (fillfactor = 70)
"""


def upgrade() -> None:
    create_messaging_tables()
    for statement in _STATEMENTS.split(";\n"):
        op.execute(statement)
