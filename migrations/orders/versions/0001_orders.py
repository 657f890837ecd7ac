"""Orders: orders, their timelines, and the copies of products and customers."""

from alembic import op

from migrations.messaging_v1 import create_messaging_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = """
CREATE TABLE orders (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    reference text,
    status text NOT NULL CHECK (status IN
        ('pending', 'reserved', 'confirmed', 'completed', 'cancelling', 'cancelled')),
    reason text,
    detail text NOT NULL DEFAULT '',
    lines jsonb NOT NULL,
    total_amount bigint NOT NULL CHECK (total_amount >= 0),
    currency text NOT NULL,
    payment_method text NOT NULL,
    shipping_address jsonb NOT NULL,
    metadata jsonb NOT NULL,
    saga jsonb NOT NULL,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz
) WITH (fillfactor = 60);
CREATE INDEX orders_customer ON orders (customer_id, id);
CREATE INDEX orders_reference ON orders (reference, id) WHERE reference IS NOT NULL;
CREATE INDEX orders_open ON orders (updated_at) WHERE status NOT IN ('completed', 'cancelled');

CREATE TABLE order_entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders (id),
    at timestamptz NOT NULL,
    event text NOT NULL,
    detail text NOT NULL
);
CREATE INDEX order_entries_order ON order_entries (order_id, id);

CREATE TABLE products (
    sku text PRIMARY KEY,
    name text NOT NULL,
    price_amount bigint NOT NULL,
    currency text NOT NULL,
    active boolean NOT NULL,
    version bigint NOT NULL
);

CREATE TABLE customers (
    id uuid PRIMARY KEY,
    suspended boolean NOT NULL,
    version bigint NOT NULL
)
"""


def upgrade() -> None:
    create_messaging_tables()
    for statement in _STATEMENTS.split(";\n"):
        op.execute(statement)
