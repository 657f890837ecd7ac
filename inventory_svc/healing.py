"""What an operator may have repeated in Inventory: the question whether goods that are held are still needed."""

from inventory_svc.handlers import question
from inventory_svc.tables import InventoryWork
from shared_events import database
from shared_http.edge import current_edge
from shared_http.healing import Healed, Wish

_HELD = """
    SELECT order_id FROM reservations
    WHERE order_id = ANY(%(ids)s) AND status = 'held' AND updated_at < now() - make_interval(secs => %(idle_s)s)
    ORDER BY order_id
"""


def heal(wish: Wish) -> list[Healed]:
    """Ask Orders now, not at the end of the hold: it has the goods of its final orders released."""
    with database.transaction(current_edge().engine, InventoryWork) as work:
        values = {"ids": list(wish.order_ids), "idle_s": wish.idle_s}
        held = list(work.connection.exec_driver_sql(_HELD, values).scalars())
        for order_id in () if wish.dry_run else held:
            work.emit(question(order_id), correlation_id=order_id)
    return [Healed(order_id, "Orders asked whether its goods are still needed") for order_id in held]
