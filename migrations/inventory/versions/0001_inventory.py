"""Inventory: products, stock, its ledger, and reservations."""

from alembic import op

from migrations.messaging_v1 import create_messaging_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# SKUs sort and compare bytewise, as in Python: batches lock them in this order.
# The fill factors leave room in each page, so that rows are updated in place.
_STATEMENTS = """
CREATE TABLE products (
    sku text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    description text NOT NULL,
    price_amount bigint NOT NULL,
    currency text NOT NULL,
    active boolean NOT NULL,
    version integer NOT NULL,
    external_version bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT products_price CHECK (price_amount >= 0)
);
CREATE INDEX products_updated_at ON products (updated_at);

CREATE TABLE stock (
    sku text COLLATE "C" PRIMARY KEY REFERENCES products (sku),
    on_hand bigint NOT NULL,
    reserved bigint NOT NULL,
    CONSTRAINT never_oversold CHECK (0 <= reserved AND reserved <= on_hand)
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

CREATE TABLE stock_movements (
    id uuid PRIMARY KEY,
    sku text COLLATE "C" NOT NULL REFERENCES stock (sku),
    kind text NOT NULL,
    quantity bigint NOT NULL,
    cause text NOT NULL,
    order_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT stock_movements_kind CHECK (kind IN ('receive', 'adjust', 'sale', 'restock')),
    CONSTRAINT stock_movements_quantity CHECK (quantity <> 0)
);
CREATE INDEX stock_movements_sku ON stock_movements (sku, id);

CREATE TABLE reservations (
    order_id uuid PRIMARY KEY,
    status text NOT NULL,
    shortages jsonb,
    hold_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reservations_status CHECK (status IN ('held', 'committed', 'released', 'rejected'))
) WITH (fillfactor = 70);
CREATE INDEX reservations_held ON reservations (order_id) WHERE status = 'held';

CREATE TABLE reservation_lines (
    order_id uuid NOT NULL REFERENCES reservations (order_id),
    sku text COLLATE "C" NOT NULL,
    quantity bigint NOT NULL,
    PRIMARY KEY (order_id, sku),
    CONSTRAINT reservation_lines_quantity CHECK (quantity > 0)
)
"""


def upgrade() -> None:
    create_messaging_tables()
    for statement in _STATEMENTS.split(";\n"):
        op.execute(statement)
