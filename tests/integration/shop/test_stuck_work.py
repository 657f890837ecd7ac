"""Work that is stuck comes to its end: by deadlines of seconds, by questions, and by an operator's healing."""

from uuid import UUID, uuid4

import pytest
from small_shop import DEADLINE_S, SmallShop, eventually

from orderflow_cli.invariants import INVARIANTS
from orderflow_cli.invariants.judge import Patience, judge
from orderflow_cli.invariants.reading import Sources
from orderflow_cli.invariants.survey import survey
from orderflow_cli.names import SERVICES
from orders_svc.tables import OrdersWork
from shared_events import database
from shared_events.contracts.inventory import ReserveStock
from shared_events.contracts.values import Line


def events(shop: SmallShop, order_id: UUID) -> list[str]:
    return [each["event"] for each in shop.get(f"/v1/orders/{order_id}/timeline")["items"]]


def letters_of(shop: SmallShop, order_id: UUID) -> list[str]:
    query = f"/ops/payments/dead-letters?correlation_id={order_id}"
    return [each["type"] for each in shop.get(query)["items"]]


def reserved_for_nobody(shop: SmallShop, hold_s: float) -> UUID:
    """Have Inventory hold goods for an order that Orders does not know (any more)."""
    order_id = uuid4()
    command = ReserveStock(order_id=order_id, lines=(Line("LAMP", 1),), hold_s=hold_s)
    with database.transaction(shop.engines["orders"], OrdersWork) as work:
        work.emit([command], correlation_id=order_id)
    eventually(lambda: shop.reservation(order_id))
    return order_id


def test_an_order_whose_participant_is_silent_too_long_expires(shop: SmallShop) -> None:
    shop.stop("inventory-worker")
    order_id = shop.order()
    (wait,) = shop.get(f"/v1/orders/{order_id}/timeline")["waiting"]

    shop.becomes(order_id, "cancelling")
    shop.start("inventory-worker")

    order = shop.becomes(order_id, "completed", "cancelled")
    assert (order["status"], order["reason"]) == ("cancelled", "expired")
    assert order["detail"] == f"no answer about stock within {DEADLINE_S:g} s"
    assert wait["command"] == "inventory.reserve_stock"
    assert wait["again_at"] < wait["given_up_at"]
    assert shop.reservation(order_id) in {None, "released", "rejected"}


def test_an_outage_shorter_than_the_deadline_ends_as_if_it_had_not_been(shop: SmallShop) -> None:
    with shop.frozen("inventory-worker"):
        order_id = shop.order()
        eventually(lambda: "stock timed out" in events(shop, order_id))  # half the deadline: asked again

    assert shop.becomes(order_id, "completed", "cancelled")["status"] == "completed"
    assert shop.charges(order_id) == [4900]


@pytest.fixture
def broken_payments(shop: SmallShop) -> SmallShop:
    """Payments with a bug: it fails on whatever has a payment method, and so on no undo."""
    shop.rows("payments", "ALTER TABLE payments ADD CONSTRAINT bug CHECK (method = '') NOT VALID")
    yield shop
    shop.rows("payments", "ALTER TABLE payments DROP CONSTRAINT IF EXISTS bug")


def test_an_undo_is_never_held_up_by_a_dead_letter_whose_replay_charges_nothing(
    broken_payments: SmallShop,
) -> None:
    shop = broken_payments
    order_id = shop.order()

    order = shop.becomes(order_id, "completed", "cancelled")
    assert (order["status"], order["reason"]) == ("cancelled", "expired")
    dead = letters_of(shop, order_id)
    assert set(dead) == {"payments.authorize_payment"}
    queues = shop.rows(
        "payments", "SELECT queue FROM dead_letters WHERE correlation_id = %(id)s", id=order_id
    )
    assert {each.queue for each in queues} == {"payments.calls"}

    shop.rows("payments", "ALTER TABLE payments DROP CONSTRAINT bug")
    wanted = {"correlation_id": str(order_id), "reason": "mended"}
    replayed = shop.post("/ops/payments/dead-letters/replay", wanted)
    taken = "SELECT 1 FROM inbox JOIN dead_letters USING (message_id) WHERE dead_letters.id = ANY(%(ids)s)"
    ids = [UUID(each) for each in replayed["ids"]]
    eventually(lambda: len(shop.rows("payments", taken, ids=ids)) == len(dead) == len(ids))

    assert shop.charges(order_id) == []
    assert shop.status(order_id) == "cancelled"
    assert letters_of(shop, order_id) == []


def test_goods_held_for_an_order_that_nobody_knows_are_asked_about_and_released(shop: SmallShop) -> None:
    order_id = reserved_for_nobody(shop, hold_s=1.0)

    assert eventually(lambda: shop.reservation(order_id) == "released")


def test_goods_held_for_an_order_that_still_waits_are_asked_about_and_kept(shop: SmallShop) -> None:
    with shop.frozen("payments-executor"):
        order_id = shop.order()
        shop.becomes(order_id, "reserved")
        elapsed = "UPDATE outbox SET available_at = now() WHERE timer_key = %(key)s"
        shop.rows("inventory", elapsed, key=f"hold:{order_id}")
        kept = "SELECT 1 FROM inbox WHERE type = 'inventory.keep_reservation' AND correlation_id = %(id)s"
        eventually(lambda: shop.rows("inventory", kept, id=order_id))
        assert shop.reservation(order_id) == "held"

    assert shop.becomes(order_id, "completed", "cancelled")["status"] == "completed"


def test_an_order_of_which_everything_got_lost_is_taken_up_by_the_sweeper(shop: SmallShop) -> None:
    with shop.frozen("orders-relay"):
        order_id = shop.order()
        shop.rows("orders", "DELETE FROM outbox WHERE correlation_id = %(id)s", id=order_id)
    shop.rows(
        "orders", "UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id = %(id)s", id=order_id
    )

    sweep = "UPDATE outbox SET available_at = now() WHERE timer_key = 'sweep' RETURNING 1"
    eventually(lambda: shop.rows("orders", sweep))

    assert shop.becomes(order_id, "completed", "cancelled")["status"] == "completed"
    assert "swept" in events(shop, order_id)


def test_a_command_that_got_lost_is_asked_for_again_by_healing(shop: SmallShop) -> None:
    with shop.frozen("orders-relay"):
        order_id = shop.order()
        shop.rows("orders", "DELETE FROM outbox WHERE type = 'inventory.reserve_stock'")
        shop.rows(
            "orders", "UPDATE outbox SET available_at = now() + interval '1 hour' WHERE timer_key IS NOT NULL"
        )
    wish = {"order_ids": [str(order_id)], "idle_s": 0, "reason": "lost in the broker"}

    dry = shop.post("/ops/orders/healing", {**wish, "dry_run": True})
    late = shop.post("/ops/orders/healing", {**wish, "idle_s": 3600})
    assert [each["did"] for each in dry["items"]] == ["asked again: Inventory to reserve the stock"]
    assert late["items"] == []
    assert "healed" not in events(shop, order_id)

    done = shop.post("/ops/orders/healing", wish)
    assert done["items"] == dry["items"]
    shop.becomes(order_id, "completed")
    (healed,) = [
        each for each in shop.get(f"/v1/orders/{order_id}/timeline")["items"] if each["event"] == "healed"
    ]
    assert healed["detail"] == "by olga: lost in the broker"
    assert shop.post("/ops/orders/healing", wish)["items"] == []
    assert shop.charges(order_id) == [4900]


def test_a_call_to_the_provider_that_got_lost_is_asked_for_again_by_healing(shop: SmallShop) -> None:
    shop.stop("provider-simulator")
    with shop.frozen("payments-relay"):
        order_id = shop.order()
        lose = "DELETE FROM outbox WHERE type = 'payments.call_due' AND correlation_id = %(id)s RETURNING 1"
        eventually(lambda: shop.rows("payments", lose, id=order_id))
    shop.rows(
        "orders", "UPDATE outbox SET available_at = now() + interval '1 hour' WHERE timer_key IS NOT NULL"
    )
    shop.start("provider-simulator")

    done = shop.post("/ops/payments/healing", {"order_ids": [str(order_id)], "idle_s": 0})

    assert [each["did"] for each in done["items"]] == ["the provider's answer to authorize asked for again"]
    shop.becomes(order_id, "completed")
    assert shop.charges(order_id) == [4900]


def test_goods_held_without_need_are_let_go_by_healing(shop: SmallShop) -> None:
    order_id = reserved_for_nobody(shop, hold_s=3600.0)

    shop.post("/ops/inventory/healing", {"order_ids": [str(order_id)], "idle_s": 0})

    assert eventually(lambda: shop.reservation(order_id) == "released")


def test_the_undos_of_a_cancelled_order_are_repeated_by_healing_and_change_nothing(shop: SmallShop) -> None:
    order_id = shop.order()
    shop.becomes(order_id, "completed")
    assert shop.post("/ops/orders/healing", {"order_ids": [str(order_id)], "idle_s": 0})["items"] == []
    (cancelled,) = shop.rows("orders", "SELECT id FROM orders WHERE status = 'cancelled' LIMIT 1")

    (done,) = shop.post("/ops/orders/healing", {"order_ids": [str(cancelled.id)], "idle_s": 0})["items"]

    assert done["did"] == "its undos repeated"
    eventually(lambda: events(shop, cancelled.id)[-1].endswith("undone"))
    assert shop.status(cancelled.id) == "cancelled"


def test_a_slow_provider_slows_nothing_but_payments(shop: SmallShop) -> None:
    shop.weather("slow", seconds=6.0, slow_s=2.0)
    waiting = [shop.order() for _ in range(4)]
    for order_id in waiting:
        shop.becomes(order_id, "reserved", "confirmed", "completed")
    assert "reserved" in {shop.status(each) for each in waiting}

    for _ in range(3):  # while it is slow: accepted, and stock reserved, at once
        late = shop.order()
        eventually(lambda late=late: shop.reservation(late) in {"held", "committed"}, within_s=4.0)  # type: ignore[misc]
        waiting.append(late)
    shop.weather("fair", seconds=0.0, slow_s=0.0)

    assert {shop.becomes(each, "completed", "cancelled")["status"] for each in waiting} == {"completed"}


def test_afterwards_every_invariant_holds(shop: SmallShop) -> None:
    known = [row.id for row in shop.rows("orders", "SELECT id FROM orders")]
    for table in ("reservation_lines", "reservations"):  # those that were held for nobody
        shop.rows("inventory", f"DELETE FROM {table} WHERE order_id <> ALL(%(known)s)", known=known)
    shop.post("/ops/orders/dead-letters/discard", {"all": True, "reason": "replies about orders of nobody"})
    access = shop.servers.access
    sources = Sources({service: access.audit_url(service) for service in SERVICES})
    chosen = [each for each in INVARIANTS if each.name not in {"payments_equal_the_providers_record"}]

    report = judge(lambda: survey(sources, chosen), chosen, Patience(window_s=10.0, settle_s=20.0))

    assert report.broken == []
    assert report.settling == []
