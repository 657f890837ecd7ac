"""What the handlers see of Orders' data: plain objects, however they are stored."""

from datetime import UTC, datetime
from uuid import UUID

from orders_svc.domain import Order
from shared_events.contract import Message
from shared_events.contracts.customers import CustomerReinstated, CustomerSuspended
from shared_events.contracts.inventory import ProductChanged

CustomerFact = CustomerSuspended | CustomerReinstated


class OrderBook:
    """Orders by id, and news for the copies of products and customers. `now` is the store's time.

    As it stands it lives in memory (tests, the model checker); `tables.OrdersWork` fills and writes it.
    """

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.orders: dict[UUID, Order] = {}
        self.stuck: list[UUID] = []
        self.products: dict[str, ProductChanged] = {}
        self.customers: dict[UUID, CustomerFact] = {}
        self.has_no_products = False
        self.observations: list[tuple[str, float]] = []

    def order(self, order_id: UUID) -> Order:
        """Return a locked order. Raises LookupError if there is none."""
        try:
            return self.orders[order_id]
        except KeyError:
            raise LookupError(f"there is no order {order_id}") from None

    def lock(self, messages: list[Message]) -> None:
        """Nothing to do in memory."""

    def note_product(self, fact: ProductChanged) -> None:
        """Keep the newest state of a product."""
        held = self.products.get(fact.sku)
        if held is None or held.aggregate_version < fact.aggregate_version:
            self.products[fact.sku] = fact

    def note_customer(self, fact: CustomerFact) -> None:
        """Keep the newest standing of a customer."""
        held = self.customers.get(fact.customer_id)
        if held is None or held.aggregate_version < fact.aggregate_version:
            self.customers[fact.customer_id] = fact

    def observe(self, metric: str, value: float) -> None:
        """Note a measurement."""
        self.observations.append((metric, value))
