"""Customers: profiles and suspensions."""

from alembic import op

from migrations.messaging_v1 import create_messaging_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE customers (
    id uuid PRIMARY KEY,
    email text NOT NULL CONSTRAINT customers_email_key UNIQUE,
    name text NOT NULL,
    phone text,
    addresses jsonb NOT NULL,
    suspended_at timestamptz,
    suspension_reason text,
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK ((suspended_at IS NULL) = (suspension_reason IS NULL))
);
CREATE INDEX customers_created_at ON customers (created_at, id);
CREATE INDEX customers_suspended ON customers (id) WHERE suspended_at IS NOT NULL
"""


def upgrade() -> None:
    """Make the table."""
    create_messaging_tables()
    for statement in _STATEMENTS.split(";\n"):
        op.execute(statement)
