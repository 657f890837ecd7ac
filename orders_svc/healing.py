"""What an operator may have repeated for orders that wait: commands that are idempotent for ever, nothing else."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from orders_svc.domain import COMPLETED, Order
from orders_svc.saga_engine import Engine
from orders_svc.tables import OrdersWork
from shared_events import database
from shared_http.edge import current_edge
from shared_http.healing import Heal, Healed, Wish

_ASKED_LATELY = """
    SELECT DISTINCT order_id FROM order_entries
    WHERE order_id = ANY(%(ids)s) AND at > now() - make_interval(secs => %(pause_s)s)
"""
_TIMED = "SELECT timer_key FROM outbox WHERE correlation_id = ANY(%(ids)s) AND timer_key IS NOT NULL"


def healer(checkout: Engine[Order]) -> Heal:
    """Return what heals orders."""

    def heal(wish: Wish) -> list[Healed]:
        """Repeat what each order waits for; of a cancelled one its undos. One with news of late is left alone."""
        with database.transaction(current_edge().engine, OrdersWork) as work:
            work.lock_orders(wish.order_ids)
            fresh = _asked_lately(work.connection, wish)
            timed = _timed(work.connection, list(work.orders))
            orders = [
                each for each in work.orders.values() if each.id not in fresh and each.status != COMPLETED
            ]
            done = [Healed(order.id, words(order, checkout, work.now)) for order in orders]
            for order in () if wish.dry_run else orders:
                steps = {
                    step.name for step in checkout.saga.steps if checkout.saga.key(order, step.name) in timed
                }
                said = order.heal(checkout, wish.by, wish.reason, steps, work.now)
                work.emit(said, correlation_id=order.id)
        return done

    return heal


def words(order: Order, checkout: Engine[Order], now: datetime) -> str:
    """Say what healing does for an order; of one that waits for nothing and undid nothing, that it does nothing."""
    if waits_for := order.waits_for(checkout):
        return f"asked again: {', '.join(waits_for)}"
    undos = checkout.asked_again(order.saga, order, now, ())
    return "its undos repeated" if undos else "nothing to do: it waits for nothing and has nothing to undo"


def _asked_lately(connection: Connection, wish: Wish) -> set[UUID]:
    values = {"ids": list(wish.order_ids), "pause_s": wish.idle_s}
    return set(connection.exec_driver_sql(_ASKED_LATELY, values).scalars())


def _timed(connection: Connection, ids: Sequence[UUID]) -> set[str]:
    return set(connection.exec_driver_sql(_TIMED, {"ids": list(ids)}).scalars())
