"""What Loyalty does with each message."""

from examples.loyalty.tables import LoyaltyWork
from shared_events.contracts.orders import OrderCompleted
from shared_events.handlers import Handlers

handlers = Handlers("loyalty")


@handlers.on(OrderCompleted)
def order_completed(fact: OrderCompleted, work: LoyaltyWork) -> None:
    """Credit the customer."""
    work.points[fact.customer_id] += fact.total.amount // 100
