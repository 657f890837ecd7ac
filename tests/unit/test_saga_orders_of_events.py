"""The saga with real participants: whatever the order of events, the end is one of two, and all is right."""

from itertools import permutations
from random import Random

import pytest
from inventory_in_memory import Inventory
from shop_in_memory import STEP_S, PaymentBook, Shop, executor
from test_saga import HAPPY, capture_refused, commit_refused, declined, rejected, released, voided

import inventory_svc.handlers
import payments_svc.handlers
from orders_svc.domain import FINAL, CannotCancel, Order
from shared_events.contract import Message
from shared_events.contracts import inventory, payments

COMMANDS = (
    inventory.ReserveStock,
    payments.AuthorizePayment,
    inventory.CommitStock,
    payments.CapturePayment,
)
ON_HAND = 3


class WholeShop(Shop):
    """Orders, Inventory and Payments on one bus, and everything that may happen to them."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = Random(seed)
        self.inventory, self.payments = Inventory(), PaymentBook()
        self.inventory.has("MUG", ON_HAND)
        self.bus.join(inventory_svc.handlers.handlers, self.inventory.shelves)
        self.bus.join(payments_svc.handlers.handlers, self.payments)
        self.bus.join(executor, self.payments)

    def something_happens(self, order: Order) -> None:
        """Deliver, repeat, lose, wait or cancel."""
        match self.random.randrange(12):
            case 0 | 1:
                self.bus.advance(self.random.choice([1, STEP_S / 2, STEP_S / 2, STEP_S * 3]))
            case 2 | 3:
                self.bus.drop(self.random.choice(COMMANDS))
            case 4 if self.random.random() < 0.3:
                self._cancel(order)
            case _ if self.bus.on_its_way:
                self.bus.deliver(self.random.randrange(len(self.bus.on_its_way)), times=2)

    def settle(self, order: Order) -> None:
        """Let everything arrive at last."""
        for _ in range(60):
            self.bus.run(self.random)
            if order.status in FINAL and not self._calls_wait():
                return
            self.bus.advance(60)

    def _calls_wait(self) -> bool:
        return any(isinstance(each.message, payments.CallDue) for each in self.bus.timers)

    def _cancel(self, order: Order) -> None:
        try:
            self.cancel(order)
        except CannotCancel:
            assert order.status == "completed"


@pytest.mark.parametrize("method", ["tok_visa", "tok_declined"])
@pytest.mark.parametrize("quantity", [2, 9], ids=["in stock", "out of stock"])
def test_stock_and_money_are_right_whatever_happens(method: str, quantity: int) -> None:
    ends = set()
    for seed in range(1000):
        shop = WholeShop(seed)
        order = shop.place(method, quantity)
        for _ in range(shop.random.randrange(40)):
            shop.something_happens(order)
        shop.settle(order)

        sold = quantity if order.status == "completed" else 0
        paid = order.total.amount if order.status == "completed" else 0
        assert order.status in FINAL, (seed, order.waits_for(shop.saga))
        assert shop.inventory.stock("MUG") == (ON_HAND - sold, 0), seed
        assert (shop.payments.provider.held, shop.payments.provider.kept) == (0, paid), seed
        ends.add((order.status, order.reason))

    possible = {("cancelled", "by_customer"), ("cancelled", "expired")}
    if quantity > ON_HAND:
        possible.add(("cancelled", "out_of_stock"))
    else:
        possible.add(("completed", None) if method == "tok_visa" else ("cancelled", "payment_declined"))
    assert possible <= ends


def test_every_order_of_every_few_replies_ends_in_a_final_state_and_stays_there() -> None:
    """Replies may even come before they were asked for, and contradict each other."""
    replies = (*HAPPY, rejected, declined, commit_refused, capture_refused, released, voided)
    for some in permutations(replies, 4):
        shop = Shop()
        order = shop.place()
        for reply in some:
            _hear(shop, reply(order))
        first_end = order.status if order.status in FINAL else None
        for reply in (*HAPPY, released, voided):
            _hear(shop, reply(order))

        assert order.status in FINAL, [reply.__name__ for reply in some]
        assert first_end in {None, order.status}
        assert len([each for each in shop.bus.sent if type(each).__name__ in ENDS]) == 1


ENDS = {"OrderCompleted", "OrderCancelled"}


def _hear(shop: Shop, reply: Message) -> None:
    shop.bus.send(reply)
    shop.bus.run()
