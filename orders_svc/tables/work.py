"""How the rows of Orders are locked, loaded and saved, for many messages at once."""

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Table, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from orders_svc.book import CustomerFact, OrderBook
from orders_svc.domain import Entry, Order, OrderLine
from orders_svc.saga_engine import Progress, Standing, State
from orders_svc.tables.columns import CUSTOMERS, PRODUCTS
from shared_events.contract import Message
from shared_events.contracts.inventory import ProductChanged
from shared_events.contracts.orders import SweepDue
from shared_events.contracts.values import Money
from shared_events.statements import run
from shared_events.work import UnitOfWork
from shared_events.writes import over_rows

STUCK_AFTER_S = 900
"""An open order without any waiting timer and without progress for so long is swept."""
SWEEP_AT_MOST = 100

_LOCK = """
    SELECT orders.*, now() AS read_at, coalesce(customers.suspended, false) AS suspended
    FROM orders LEFT JOIN customers ON customers.id = orders.customer_id
    WHERE orders.id = ANY(%(ids)s) ORDER BY orders.id FOR UPDATE OF orders
"""
_STUCK = f"""
    SELECT id FROM orders
    WHERE status NOT IN ('completed', 'cancelled')
      AND updated_at < now() - interval '{STUCK_AFTER_S} seconds'
      AND NOT EXISTS (SELECT FROM outbox WHERE correlation_id = orders.id)
    ORDER BY updated_at LIMIT {SWEEP_AT_MOST}
"""  # noqa: S608  constants
_CATALOGUE = """
    SELECT now() AS read_at,
           coalesce((SELECT suspended FROM customers WHERE id = %(customer_id)s), false) AS suspended, products.*
    FROM (SELECT) AS one LEFT JOIN products ON products.sku = ANY(string_to_array(%(skus)s, ' '))
"""
_NEW_ROWS = (
    "id uuid, customer_id uuid, reference text, status text, reason text, detail text, lines jsonb,"
    " total_amount bigint, currency text, payment_method text, shipping_address jsonb, metadata jsonb,"
    " saga jsonb, created_at timestamptz, confirmed_at timestamptz"
)
_CHANGED_ROWS = "id uuid, status text, reason text, detail text, saga jsonb, confirmed_at timestamptz"
_ENTRY_ROWS = "order_id uuid, at timestamptz, event text, detail text"
_INSERT = """
    INSERT INTO orders (id, customer_id, reference, status, reason, detail, lines, total_amount, currency,
                        payment_method, shipping_address, metadata, saga, created_at, confirmed_at)
    SELECT id, customer_id, reference, {status}, reason, detail, lines, total_amount, currency,
           payment_method, shipping_address, metadata, saga, created_at, confirmed_at
    FROM {rows}
"""
_STATUS_IF_IT_HOLDS = """
    CASE WHEN NOT EXISTS (
        SELECT FROM jsonb_to_recordset(new.lines) AS line (sku text, name text, unit_price bigint)
        WHERE NOT EXISTS (
            SELECT FROM products WHERE products.sku = line.sku AND products.name = line.name
                AND products.price_amount = line.unit_price AND products.currency = new.currency AND active))
    AND NOT EXISTS (SELECT FROM customers WHERE customers.id = new.customer_id AND suspended)
    THEN status END
"""
"""No status where the catalogue or the customer is not as remembered: then the table refuses the order (`is_stale`)."""
_INSERT_READ = over_rows(_NEW_ROWS, _INSERT.replace("{status}", "status"))
_INSERT_REMEMBERED = over_rows(_NEW_ROWS, _INSERT.replace("{status}", _STATUS_IF_IT_HOLDS))
_UPDATE = over_rows(
    _CHANGED_ROWS,
    """
    UPDATE orders SET status = new.status, reason = new.reason, detail = new.detail, saga = new.saga,
                      confirmed_at = new.confirmed_at, version = version + 1, updated_at = now()
    FROM {rows} WHERE orders.id = new.id
""",
)
_INSERT_ENTRIES = over_rows(
    _ENTRY_ROWS, "INSERT INTO order_entries (order_id, at, event, detail) SELECT * FROM {rows}"
)


class OrdersWork(UnitOfWork, OrderBook):
    """The order book in PostgreSQL. Lock order: orders by id, then the copies."""

    service = "orders"

    def __init__(self, connection: Connection) -> None:
        UnitOfWork.__init__(self, connection)
        OrderBook.__init__(self)
        self._placed: list[Order] = []
        self._remembered: list[Order] = []

    def lock(self, messages: Sequence[Message]) -> None:
        """Read and lock the orders that these messages are about; for a sweep, say which are stuck."""
        ids = {order_id for each in messages if (order_id := getattr(each, "order_id", None))}
        if ids:
            self.lock_orders(ids)
        if any(isinstance(each, SweepDue) for each in messages):
            self.stuck = [row.id for row in run(self.connection, _STUCK)]
            self.has_no_products = self.connection.execute(select(PRODUCTS.c.sku).limit(1)).first() is None

    def lock_orders(self, ids: Iterable[UUID]) -> None:
        """Read and lock these orders; sets `now`."""
        self.orders = {order.id: order for order in self._read(_LOCK, ids=sorted(ids))}

    def catalogue(self, skus: Iterable[str], customer_id: UUID) -> tuple[dict[str, Row[Any]], bool]:
        """Return the products of these SKUs, and whether the customer is suspended; sets `now`."""
        # As one text, since the driver takes long to make an array; no SKU has a space in it.
        found = run(self.connection, _CATALOGUE, {"customer_id": customer_id, "skus": " ".join(skus)})
        self.now = found[0].read_at
        return {row.sku: row for row in found if row.sku is not None}, found[0].suspended

    def add(self, order: Order, *, by_memory: bool = False) -> None:
        """Keep a new order. One that was priced `by_memory` is written if the prices hold (`is_stale`)."""
        (self._remembered if by_memory else self._placed).append(order)

    def flush(self) -> None:
        """Hand over new and changed orders and their timelines; write newer copies."""
        touched = list(self.orders.values())
        self.write(_INSERT_READ, [_row(order) for order in self._placed])
        self.write(_INSERT_REMEMBERED, [_row(order) for order in self._remembered])
        self.write(_UPDATE, [_changed_row(order) for order in touched if order.changed])
        placed = (*self._placed, *self._remembered)
        entries = [(order.id, entry) for order in (*placed, *touched) for entry in order.news]
        self.write(_INSERT_ENTRIES, [_entry_row(order_id, entry) for order_id, entry in entries])
        self._write_copies()
        self._placed.clear()
        self._remembered.clear()
        for order in touched:
            order.changed = False
            order.news.clear()

    def _read(self, query: str, **values: Any) -> Iterable[Order]:
        for row in run(self.connection, query, values):
            self.now = row.read_at
            yield order_of(row, suspended=row.suspended)

    def _write_copies(self) -> None:
        if self.products:
            facts = [self.products[sku] for sku in sorted(self.products)]
            self._upsert(PRODUCTS, "sku", [_product(fact) for fact in facts])
        if self.customers:
            standings = [self.customers[id_] for id_ in sorted(self.customers)]
            self._upsert(CUSTOMERS, "id", [_customer(fact) for fact in standings])

    def _upsert(self, table: Table, key: str, rows: list[dict[str, Any]]) -> None:
        """Write copies, each only over an older version."""
        new = upsert(table)
        self.connection.execute(
            new.on_conflict_do_update(
                index_elements=[key],
                set_={column.name: new.excluded[column.name] for column in table.c if column.name != key},
                where=table.c.version < new.excluded.version,
            ),
            rows,
        )


def is_stale(error: IntegrityError) -> bool:
    """Say whether an order was refused because it was priced by what was remembered, and that holds no more."""
    diagnosis = getattr(error.orig, "diag", None)
    return (getattr(diagnosis, "table_name", None), getattr(diagnosis, "column_name", None)) == (
        "orders",
        "status",
    )


def _product(fact: ProductChanged) -> dict[str, Any]:
    return {
        "sku": fact.sku,
        "name": fact.name,
        "price_amount": fact.price.amount,
        "currency": fact.price.currency,
        "active": fact.active,
        "version": fact.aggregate_version,
    }


def _customer(fact: CustomerFact) -> dict[str, Any]:
    return {"id": fact.customer_id, "suspended": fact.suspended, "version": fact.aggregate_version}


def order_of(row: Row[Any], *, suspended: bool = False) -> Order:
    """Return the order in a row of ORDERS."""
    return Order(
        id=row.id,
        customer_id=row.customer_id,
        lines=tuple(OrderLine(**line) for line in row.lines),
        total=Money(row.total_amount, row.currency),
        payment_method=row.payment_method,
        shipping_address=row.shipping_address,
        created_at=row.created_at,
        reference=row.reference,
        metadata=row.metadata,
        status=row.status,
        reason=row.reason,
        detail=row.detail,
        saga=_state(row.saga),
        customer_suspended=suspended,
        confirmed_at=row.confirmed_at,
    )


def _state(saved: dict[str, Any]) -> State:
    steps = {
        name: Progress(Standing(standing), attempt) for name, (standing, attempt) in saved["steps"].items()
    }
    return State(MappingProxyType(steps), saved["undoing"], frozenset(saved["doubted"]))


def _saved(state: State) -> dict[str, Any]:
    steps = {name: [progress.standing.value, progress.attempt] for name, progress in state.steps.items()}
    return {"steps": steps, "undoing": state.undoing, "doubted": sorted(state.doubted)}


def _row(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "customer_id": order.customer_id,
        "reference": order.reference,
        "status": order.status,
        "reason": order.reason,
        "detail": order.detail,
        "lines": order.lines,
        "total_amount": order.total.amount,
        "currency": order.total.currency,
        "payment_method": order.payment_method,
        "shipping_address": dict(order.shipping_address),
        "metadata": dict(order.metadata),
        "saga": _saved(order.saga),
        "created_at": order.created_at,
        "confirmed_at": order.confirmed_at,
    }


def _changed_row(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "status": order.status,
        "reason": order.reason,
        "detail": order.detail,
        "saga": _saved(order.saga),
        "confirmed_at": order.confirmed_at,
    }


def _entry_row(order_id: UUID, entry: Entry) -> dict[str, Any]:
    return {"order_id": order_id, "at": entry.at, "event": entry.event, "detail": entry.detail}
