"""What an operator may have repeated in Payments: the call of an open intent whose message got lost."""

from payments_svc.domain import CallWanted
from payments_svc.handlers import outputs
from payments_svc.tables import PaymentsWork
from shared_events import database
from shared_http.edge import current_edge
from shared_http.healing import Healed, Wish

_LOST = """
    SELECT order_id, id, operation FROM intents
    WHERE order_id = ANY(%(ids)s) AND status IN ('waiting', 'leased', 'in_doubt')
      AND updated_at < now() - make_interval(secs => %(idle_s)s)
      AND (leased_until IS NULL OR leased_until < now())
      AND NOT EXISTS (SELECT FROM outbox WHERE timer_key = 'call:' || intents.id)
    ORDER BY order_id
"""


def heal(wish: Wish) -> list[Healed]:
    """Want each call again that is open, that nobody has leased, and for which no message waits to leave.

    The executor then asks the provider what came of it, or makes it, under its one key.
    """
    with database.transaction(current_edge().engine, PaymentsWork) as work:
        values = {"ids": list(wish.order_ids), "idle_s": wish.idle_s}
        lost = work.connection.exec_driver_sql(_LOST, values).all()
        for row in () if wish.dry_run else lost:
            work.emit(outputs([CallWanted(row.id, row.order_id)]), correlation_id=row.order_id)
    return [Healed(row.order_id, f"the provider's answer to {row.operation} asked for again") for row in lost]
