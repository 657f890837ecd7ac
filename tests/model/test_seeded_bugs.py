"""The model check finds each bug that is put into the real code, and tells how it comes about.

Each function below is one bug. What the check says of it is printed: `pytest -s tests/model/test_seeded_bugs.py`.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from uuid import UUID

import pytest
from check import check
from money_part import Book
from one_step import Held, Turn
from stock_part import Inventory

from inventory_svc.domain import Reservation, Shelves, Status
from orders_svc.domain import COMPLETED, CONFIRMED, PAYMENT, Order
from orders_svc.saga_engine import Engine, Standing
from payments_svc.domain import Intent, Payment
from shared_events.contract import Message
from shared_events.contracts.inventory import CommitStock
from shared_events.contracts.payments import PaymentVoided

Patch = pytest.MonkeyPatch
BUGS: dict[str, tuple[Callable[[Patch], None], str]] = {}


def bug(found_as: str) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    def register(seed: Callable[[Patch], None]) -> Callable[[Patch], None]:
        BUGS[seed.__name__] = seed, found_as
        return seed

    return register


# -- the saga ------------------------------------------------------------------------------------------


@bug("a cancelled order's money: 2400 held")
def an_undo_is_left_out(patch: Patch) -> None:
    begun = Engine._begun_in_reverse
    patch.setattr(
        Engine, "_begun_in_reverse", lambda *its: (step for step in begun(*its) if step.name != PAYMENT)
    )


@bug("a cancelled order's money: 2400 held")
def a_late_success_is_ignored(patch: Patch) -> None:
    patch.setattr(Engine, "_undo_again", lambda *_: ())


@bug("undone because nobody answered")
def the_pivot_is_ignored(patch: Patch) -> None:
    patch.setattr(Engine, "_is_before_pivot", lambda *_: True)


@bug("no timer for")
def an_undo_is_asked_for_only_once(patch: Patch) -> None:
    send = Engine._send_undo
    patch.setattr(Engine, "_send_undo", lambda *its: (send(*its)[0], send(*its)[1][:1]))


@bug("it never comes to rest")
def a_step_is_repeated_though_the_order_is_undone(patch: Patch) -> None:
    """This one was not put in: the check found it."""
    timed_out = Engine.timed_out

    def as_it_was(self, state, step, *its):
        if state.standing(step.name) is not Standing.SENT:
            return timed_out(self, state, step, *its)
        after, outputs = timed_out(self, replace(state, undoing=False), step, *its)
        return replace(after, undoing=after.undoing or state.undoing), outputs

    patch.setattr(Engine, "timed_out", as_it_was)


@bug("a cancelled order has goods")
def a_second_copy_of_a_reply_is_taken_for_news(patch: Patch) -> None:
    succeeded = Engine.succeeded
    patch.setattr(
        Engine,
        "succeeded",
        lambda self, state, step, *its: succeeded(self, state.moved(step.name, Standing.SENT), step, *its),
    )


@bug("a completed order became cancelling")
def a_completed_order_can_be_cancelled(patch: Patch) -> None:
    cancel = Order.cancel

    def always(self: Order, *about: object) -> Iterable[object]:
        self.status = CONFIRMED if self.status == COMPLETED else self.status
        return cancel(self, *about)

    patch.setattr(Order, "cancel", always)


# -- Inventory -----------------------------------------------------------------------------------------


@bug("a cancelled order has goods")
def a_release_that_finds_nothing_leaves_no_tombstone(patch: Patch) -> None:
    release = Shelves.release

    def forgetful(self: Shelves, order_id: UUID) -> Reservation:
        known = order_id in self.reservations
        released = release(self, order_id)
        if not known:
            del self.reservations[order_id]
        return released

    patch.setattr(Shelves, "release", forgetful)


@bug("a cancelled order has goods")
def committed_goods_are_not_taken_back(patch: Patch) -> None:
    release = Shelves.release

    def only_held(self: Shelves, order_id: UUID) -> Reservation:
        known = self.reservations.get(order_id)
        return known if known and known.status is Status.COMMITTED else release(self, order_id)

    patch.setattr(Shelves, "release", only_held)


@bug("what is set aside is not what the reservations hold")
def a_second_reservation_sets_aside_again(patch: Patch) -> None:
    reserve = Shelves.reserve

    def again(self: Shelves, order_id: UUID, *its: object) -> Reservation:
        known = self.reservations.get(order_id)
        if known and known.status is Status.HELD:
            self.stock["MUG"].reserved += 1
        return reserve(self, order_id, *its)

    patch.setattr(Shelves, "reserve", again)


@bug("it never comes to rest")
def a_command_is_sent_again_under_its_old_id(patch: Patch) -> None:
    """The inbox then absorbs it; an answer that got lost is never given again."""
    hear = Inventory.hear

    def absorb(self: Inventory, held: Held, message: Message) -> Iterable[Turn]:
        decided = {each.status for each in held.data.reservations.values()}
        if isinstance(message, CommitStock) and Status.COMMITTED in decided:
            return [Turn("CommitStock is absorbed by the inbox", held)]
        return hear(self, held, message)

    patch.setattr(Inventory, "hear", absorb)


# -- Payments ------------------------------------------------------------------------------------------


@bug("a cancelled order's money: 2400 held")
def a_void_that_finds_nothing_leaves_no_tombstone(patch: Patch) -> None:
    keep = Book.add
    patch.setattr(Book, "add", lambda self, payment: keep(self, payment) if payment.amount else payment)


@bug("the payment is ")
def the_lease_is_ignored(patch: Patch) -> None:
    take = Payment.take
    patch.setattr(
        Payment, "take", lambda self, intent, _, result: take(self, intent, intent.lease_token, result)
    )


@bug("the customer was charged twice")
def a_call_is_repeated_under_another_key(patch: Patch) -> None:
    key = Intent.provider_key.fget
    patch.setattr(Intent, "provider_key", property(lambda its: key(its) + (":again" if its.doubted else "")))


@bug("the payment is voided, and the provider holds 2400")
def a_call_that_may_be_under_way_is_closed(patch: Patch) -> None:
    def close(self: Intent) -> bool:
        self.status, self.lease_token, self.leased_until = "closed", None, None
        return True

    patch.setattr(Intent, "close_unclaimed", close)


@bug("a cancelled order's money: 0 held, 2400 kept")
def captured_money_is_not_given_back(patch: Patch) -> None:
    undo = Payment._undo

    def only_void(self: Payment) -> list[object]:
        captured = self.status == "captured"
        return [PaymentVoided(order_id=self.order_id, refunded=False)] if captured else undo(self)

    patch.setattr(Payment, "_undo", only_void)


@pytest.mark.parametrize("name", BUGS)
def test_the_bug_is_found(name: str, monkeypatch: Patch) -> None:
    seed, found_as = BUGS[name]
    seed(monkeypatch)

    story = check(wishes=["cancel"], faults=False).broken or check().broken

    assert story is not None, "the check passes"
    print(f"\n{name}\n{story}")
    assert found_as in story.broken
    assert len(story.steps) <= 25
