"""Every invariant can fail: broken by hand on real databases, each is named, and none without a cause."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from orderflow_cli.accepted import Accepted
from orderflow_cli.invariants import INVARIANTS
from orderflow_cli.invariants.judge import Patience, Report, judge
from orderflow_cli.invariants.reading import Sources
from orderflow_cli.invariants.survey import survey
from orderflow_cli.names import SERVICES

DONE, GONE, OPEN = (f"00000000-0000-7000-8000-00000000000{n}" for n in (1, 2, 3))
STRANGER = "00000000-0000-7000-8000-00000000000f"
TABLES = {
    "orders": "orders, order_entries",
    "inventory": "products, stock, stock_movements, reservations, reservation_lines",
    "payments": "payments, intents, refunds",
    "customers": "customers",
}
MESSAGING = "outbox, inbox, dead_letters, idempotency_keys"

SOUND = {
    "orders": f"""
        INSERT INTO orders (id, customer_id, status, reason, lines, total_amount, currency, payment_method,
                            shipping_address, metadata, saga, created_at)
        SELECT id, gen_random_uuid(), status, reason, format(
                   '[{{"sku": "LAMP", "name": "Lamp", "quantity": %s, "unit_price": 4900}}]', quantity)::jsonb,
               4900 * quantity, 'EUR', 'tok_visa', '{{}}', '{{}}',
               jsonb_build_object('steps', steps::jsonb, 'undoing', status = 'cancelled', 'doubted', '[]'::jsonb), now()
        FROM (VALUES
            ('{DONE}'::uuid, 'completed', NULL, 2, '{{"stock": ["done", 1], "capture": ["done", 1]}}'),
            ('{GONE}', 'cancelled', 'payment_declined', 1, '{{"stock": ["undone", 1]}}'),
            ('{OPEN}', 'pending', NULL, 1, '{{"stock": ["sent", 1]}}')
        ) AS new (id, status, reason, quantity, steps);
        INSERT INTO idempotency_keys (subject, method, path, key, fingerprint, status, headers, body)
        VALUES ('alice', 'POST', '/v1/orders', 'k-1', '', 202, '{{"Location": "/v1/orders/{DONE}"}}', '');
        INSERT INTO outbox (id, type, subject, correlation_id, exchange, routing_key, body, timer_key, available_at)
        VALUES (gen_random_uuid(), 'orders.step_timed_out', '', '{OPEN}', 'orders.x', '', '', '{OPEN}:stock',
                now() + interval '1 h')
    """,
    "inventory": f"""
        INSERT INTO products (sku, name, description, price_amount, currency, active, version)
        VALUES ('LAMP', 'Lamp', '', 4900, 'EUR', true, 1);
        INSERT INTO stock VALUES ('LAMP', 8, 1);
        INSERT INTO stock_movements (id, sku, kind, quantity, cause, order_id) VALUES
            (gen_random_uuid(), 'LAMP', 'receive', 10, '', NULL), (gen_random_uuid(), 'LAMP', 'sale', -2, '', '{DONE}');
        INSERT INTO reservations (order_id, status)
        VALUES ('{DONE}', 'committed'), ('{GONE}', 'released'), ('{OPEN}', 'held');
        INSERT INTO reservation_lines VALUES ('{DONE}', 'LAMP', 2), ('{GONE}', 'LAMP', 1), ('{OPEN}', 'LAMP', 1)
    """,
    "payments": f"""
        INSERT INTO payments (id, order_id, amount, currency, method, status, void_requested, void_reason) VALUES
            ('{DONE}', '{DONE}', 9800, 'EUR', 'tok_visa', 'captured', false, ''),
            ('{GONE}', '{GONE}', 4900, 'EUR', 'tok_visa', 'voided', true, '');
        INSERT INTO intents (id, payment_id, order_id, operation, provider_key, status, attempts, refusals, doubted,
                             reference, code, detail)
        SELECT gen_random_uuid(), payment::uuid, payment::uuid, operation, payment || operation, 'succeeded',
               1, 0, false, '', '', ''
        FROM (VALUES ('{DONE}', 'authorize'), ('{DONE}', 'capture'), ('{GONE}', 'authorize'), ('{GONE}', 'void'))
            AS new (payment, operation)
    """,
    "customers": "SELECT 1",
}
CHARGES = (
    {"order_id": DONE, "reference": "a", "currency": "EUR", "held": 0, "captured": 9800, "refunded": 0},
    {"order_id": GONE, "reference": "b", "currency": "EUR", "held": 0, "captured": 0, "refunded": 0},
)


@dataclass
class Shop:
    """Four databases with one order completed, one cancelled and one open, and the provider's books beside."""

    access: Any
    charges: list[dict[str, Any]] = field(default_factory=lambda: [dict(each) for each in CHARGES])
    accepted: list[Accepted] = field(default_factory=lambda: [Accepted("local", "alice", "k-1", DONE)])
    dead: dict[str, int] | None = field(default_factory=lambda: {"orders.dead": 0})

    def do(self, service: str, statements: str) -> None:
        with psycopg.connect(self.access.database_url(service), autocommit=True) as connection:
            connection.execute(statements.encode())

    def sources(self) -> Sources:
        return Sources(
            {service: self.access.audit_url(service) for service in SERVICES},
            self.accepted,
            lambda: self.charges,
            lambda: self.dead,
        )

    def check(self) -> Report:
        """Judge without a second look: what is not explained is broken."""
        return judge(lambda: survey(self.sources(), INVARIANTS), INVARIANTS, Patience(window_s=0.0))

    @contextmanager
    def relay(self, service: str) -> Iterator[None]:
        """Look like a relay at work to whoever asks who is connected."""
        url = self.access.database_url(service)
        with psycopg.connect(url, application_name=f"{service}-relay", autocommit=True):
            yield

    def broken(self) -> set[str]:
        return {name for name, holds in self.check().invariants.items() if not holds}


def _empty(access: Any) -> None:
    for service, tables in TABLES.items():
        with psycopg.connect(access.database_url(service), autocommit=True) as connection:
            connection.execute(f"TRUNCATE {tables}, {MESSAGING} CASCADE".encode())


@pytest.fixture
def shop(servers: Any) -> Iterator[Shop]:
    made = Shop(servers.access)
    _empty(servers.access)
    for service, statements in SOUND.items():
        made.do(service, statements)
    yield made
    _empty(servers.access)


@contextmanager
def without(shop: Shop, service: str, table: str, constraint: str) -> Iterator[None]:
    """Take away what keeps the database itself from breaking an invariant, and put it back on empty tables."""
    with psycopg.connect(shop.access.database_url(service), autocommit=True) as connection:
        definition = connection.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", (constraint,)
        ).fetchone()
        assert definition
        connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}".encode())
        try:
            yield
        finally:
            connection.execute(f"TRUNCATE {TABLES[service]} CASCADE".encode())
            connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {constraint} {definition[0]}".encode())


def test_a_sound_shop_breaks_nothing_and_says_what_it_waits_for(shop: Shop) -> None:
    report = shop.check()

    assert not report.broken
    assert set(report.invariants) == {each.name for each in INVARIANTS}
    assert [(each.invariant, each.about, each.waits_for) for each in report.settling] == [
        (
            "open_orders_move_on",
            OPEN,
            "inventory's answer to reserve_stock, for 0 s; asked again in 60 min; given up in 2 h",
        )
    ]


BREAKS: list[tuple[str, str, str]] = [
    ("stock_equals_its_movements", "inventory", "UPDATE stock SET on_hand = 9"),
    ("reserved_equals_live_reservations", "inventory", "UPDATE stock SET reserved = 2"),
    ("sold_equals_completed_orders", "inventory",
     f"UPDATE stock SET on_hand = 7; UPDATE stock_movements SET quantity = -3 WHERE order_id = '{DONE}'"),
    ("sold_equals_completed_orders", "inventory", f"UPDATE stock_movements SET order_id = '{GONE}' WHERE quantity < 0"),
    ("payments_agree_with_their_intents", "payments",
     f"""UPDATE intents SET status = 'refused' WHERE order_id = '{GONE}' AND operation = 'void';
         UPDATE payments SET status = 'declined' WHERE order_id = '{GONE}'"""),
    ("payments_agree_with_their_intents", "payments", "DELETE FROM intents WHERE operation = 'capture'"),
    ("payments_ask_what_orders_cost", "payments", "UPDATE payments SET currency = 'USD' WHERE status = 'captured'"),
    ("money_kept_equals_value_delivered", "inventory",
     f"UPDATE stock_movements SET order_id = NULL, kind = 'adjust' WHERE order_id = '{DONE}'"),
    ("money_kept_equals_value_delivered", "payments",
     f"""UPDATE payments SET status = 'refunded' WHERE order_id = '{DONE}';
         INSERT INTO refunds (id, payment_id, order_id, amount, currency, reason, requested_by, status)
         VALUES (gen_random_uuid(), '{DONE}', '{DONE}', 9800, 'EUR', '', 'orders', 'succeeded')"""),
    ("open_calls_move_on", "payments",
     f"""UPDATE intents SET status = 'in_doubt', updated_at = now() - interval '1 hour' WHERE order_id = '{GONE}';
         INSERT INTO inbox (message_id, type, source, correlation_id, sent_at)
         VALUES (gen_random_uuid(), 'payments.call_due', 'payments', gen_random_uuid(), now())"""),
    ("no_outbox_row_is_overdue", "orders", "UPDATE outbox SET available_at = now() - interval '1 minute'"),
    ("dead_letters_are_accounted_for", "customers",
     """INSERT INTO dead_letters (id, queue, cause, reason, body, headers, status, resolved_at, resolved_by)
        VALUES (gen_random_uuid(), 'customers', 'x', 'y', '', '{}', 'discarded', now(), 'olga')"""),
    ("accepted_orders_exist", "orders", f"DELETE FROM orders WHERE id = '{DONE}'"),
    ("one_order_per_key", "orders", f"DELETE FROM orders WHERE id = '{DONE}'"),
    ("one_order_per_key", "orders",
     """INSERT INTO idempotency_keys (subject, method, path, key, fingerprint, status, headers, body)
        SELECT subject, method, path, 'k-2', fingerprint, status, headers, body FROM idempotency_keys"""),
    ("totals_equal_their_lines", "orders", f"UPDATE orders SET total_amount = 1 WHERE id = '{GONE}'"),
    ("totals_equal_their_lines", "orders", f"UPDATE orders SET lines = '[]' WHERE id = '{OPEN}'"),
    ("cancelled_orders_say_why", "orders", "UPDATE orders SET reason = NULL"),
    ("cancelled_orders_say_why", "orders", "UPDATE orders SET reason = 'expired'"),
    ("cancelled_if_and_only_if_nothing_is_held", "inventory",
     f"UPDATE stock SET reserved = 2; UPDATE reservations SET status = 'held' WHERE order_id = '{GONE}'"),
    ("cancelled_if_and_only_if_nothing_is_held", "payments", "UPDATE payments SET status = 'authorized'"),
    ("cancelled_if_and_only_if_nothing_is_held", "inventory",
     f"DELETE FROM reservation_lines WHERE order_id = '{DONE}'; DELETE FROM reservations WHERE order_id = '{DONE}'"),
    ("nothing_is_held_for_no_order", "inventory",
     f"INSERT INTO reservations (order_id, status) VALUES ('{STRANGER}', 'held')"),
    ("nothing_is_held_for_no_order", "orders", f"DELETE FROM orders WHERE id = '{GONE}'"),
    ("open_orders_move_on", "orders",
     """DELETE FROM outbox; UPDATE orders SET updated_at = now() - interval '1 hour';
        INSERT INTO inbox (message_id, type, source, correlation_id, sent_at)
        VALUES (gen_random_uuid(), 'orders.sweep_due', 'orders', gen_random_uuid(), now())"""),
    ("open_orders_move_on", "orders",
     f"""UPDATE outbox SET correlation_id = gen_random_uuid();
         UPDATE orders SET created_at = now() - interval '3 days' WHERE id = '{OPEN}';
         INSERT INTO inbox (message_id, type, source, correlation_id, sent_at)
         VALUES (gen_random_uuid(), 'orders.sweep_due', 'orders', gen_random_uuid(), now())"""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "service", "statements"), BREAKS)
def test_what_is_broken_by_hand_is_named(shop: Shop, name: str, service: str, statements: str) -> None:
    shop.do(service, statements)

    with shop.relay(service):
        assert name in shop.broken()


def test_a_message_waits_rightly_while_its_relay_or_rabbitmq_is_away(shop: Shop) -> None:
    shop.do("orders", "UPDATE outbox SET available_at = now() - interval '1 minute'")

    def waits_for() -> set[str]:
        report = shop.check()
        assert not report.broken
        return {each.waits_for for each in report.settling if each.invariant == "no_outbox_row_is_overdue"}

    assert waits_for() == {"orders-relay"}
    with shop.relay("orders"):
        shop.dead = None
        assert waits_for() == {"RabbitMQ"}


def test_more_reserved_than_there_is_is_named(shop: Shop) -> None:
    with without(shop, "inventory", "stock", "never_oversold"):
        shop.do("inventory", "UPDATE stock SET reserved = on_hand + 1")

        assert "never_oversold" in shop.broken()


def test_a_second_authorisation_in_payments_is_named(shop: Shop) -> None:
    with without(shop, "payments", "intents", "one_intent_per_order_and_operation"):
        shop.do("payments", "UPDATE intents SET operation = 'authorize'")

        assert "authorized_once" in shop.broken()


PROVIDER: list[Callable[[list[dict[str, Any]]], Any]] = [
    lambda charges: charges.append(charges[0]),
    lambda charges: charges.pop(0),
    lambda charges: charges[1].update(held=4900),
    lambda charges: charges[0].update(refunded=9800),
    lambda charges: charges[0].update(currency="USD"),
    lambda charges: charges.append({**charges[0], "order_id": STRANGER}),
]


@pytest.mark.parametrize("change", PROVIDER)
def test_books_of_the_provider_that_differ_are_named(shop: Shop, change: Callable[[Any], Any]) -> None:
    change(shop.charges)

    assert shop.broken() == {"payments_equal_the_providers_record"}


def test_a_dead_letter_queue_that_nobody_empties_is_named(shop: Shop) -> None:
    shop.dead = {"orders.dead": 0, "inventory.dead": 1}

    assert shop.broken() == {"dead_letter_queues_are_emptied"}


def test_a_key_that_was_answered_with_two_orders_is_named(shop: Shop) -> None:
    shop.accepted.append(replace(shop.accepted[0], id=GONE))

    assert shop.broken() == {"one_order_per_key"}


def test_every_invariant_has_a_break_in_this_file() -> None:
    others = {
        "never_oversold", "authorized_once", "payments_equal_the_providers_record", "dead_letter_queues_are_emptied",
    }  # fmt: skip

    assert {name for name, _, _ in BREAKS} | others == {each.name for each in INVARIANTS}


def test_a_difference_with_a_message_on_its_way_is_settling_and_says_which(shop: Shop) -> None:
    shop.do(
        "inventory",
        f"UPDATE reservations SET status = 'held' WHERE order_id = '{GONE}'; UPDATE stock SET reserved = 2",
    )
    shop.do("orders", f"UPDATE outbox SET type = 'inventory.release_stock', correlation_id = '{GONE}'")

    report = shop.check()

    assert report.invariants["cancelled_if_and_only_if_nothing_is_held"]
    waits = {each.about: each.waits_for for each in report.settling}
    assert waits[GONE].startswith("orders: inventory.release_stock leaves at ")


def test_a_call_to_the_provider_that_is_under_way_explains_the_difference(shop: Shop) -> None:
    shop.do("payments", f"UPDATE intents SET status = 'in_doubt' WHERE order_id = '{DONE}' AND operation = 'capture';"
                        f"UPDATE payments SET status = 'capturing' WHERE order_id = '{DONE}'")  # fmt: skip
    shop.do("orders", f"UPDATE orders SET status = 'confirmed' WHERE id = '{DONE}'")

    report = shop.check()

    assert report.invariants["payments_equal_the_providers_record"]
    assert "the provider's answer to capture" in {each.waits_for for each in report.settling}


def test_a_refund_that_staff_asked_for_is_no_loss(shop: Shop) -> None:
    shop.do(
        "payments",
        f"""
        UPDATE payments SET status = 'refunded' WHERE order_id = '{DONE}';
        INSERT INTO intents SELECT gen_random_uuid(), payment_id, order_id, 'refund', 'r', status, lease_token,
            leased_until, attempts, refusals, doubted, reference, code, detail FROM intents WHERE operation = 'capture';
        INSERT INTO refunds (id, payment_id, order_id, amount, currency, reason, requested_by, status)
        VALUES (gen_random_uuid(), '{DONE}', '{DONE}', 9800, 'EUR', '', 'olga', 'succeeded')""",
    )
    shop.charges[0]["refunded"] = 9800

    assert shop.broken() == set()


def test_ten_thousand_orders_are_checked_in_little_time(shop: Shop) -> None:
    ids = "SELECT md5(n::text)::uuid AS id FROM generate_series(1, 10000) AS n"
    shop.do(
        "orders",
        f"""INSERT INTO orders SELECT (jsonb_populate_record(orders, jsonb_build_object('id', new.id))).*
                          FROM orders, ({ids}) AS new WHERE orders.id = '{DONE}'""",
    )
    shop.do(
        "inventory",
        f"""
        INSERT INTO reservations (order_id, status) SELECT id, 'committed' FROM ({ids}) AS new;
        INSERT INTO reservation_lines SELECT id, 'LAMP', 2 FROM ({ids}) AS new;
        INSERT INTO stock_movements (id, sku, kind, quantity, cause, order_id)
        SELECT id, 'LAMP', 'sale', -2, '', id FROM ({ids}) AS new;
        INSERT INTO stock_movements (id, sku, kind, quantity, cause)
        VALUES (gen_random_uuid(), 'LAMP', 'receive', 20000, '')
    """,
    )
    shop.do(
        "payments",
        f"""
        INSERT INTO payments SELECT (jsonb_populate_record(payments, jsonb_build_object(
            'id', new.id, 'order_id', new.id))).* FROM payments, ({ids}) AS new WHERE payments.order_id = '{DONE}';
        INSERT INTO intents SELECT (jsonb_populate_record(intents, jsonb_build_object(
            'id', gen_random_uuid(), 'payment_id', new.id, 'order_id', new.id, 'provider_key', new.id || operation))).*
        FROM intents, ({ids}) AS new WHERE intents.order_id = '{DONE}'""",
    )
    with psycopg.connect(shop.access.database_url("orders")) as connection:
        found = connection.execute("SELECT id FROM orders").fetchall()
    known = {UUID(DONE), UUID(GONE), UUID(OPEN)}
    shop.charges += [{**CHARGES[0], "order_id": str(row[0])} for row in found if row[0] not in known]

    def seconds() -> float:
        began = time.perf_counter()
        assert shop.check().broken == []
        return time.perf_counter() - began

    assert len(shop.charges) == 10_002
    assert min(seconds() for _ in range(3)) < 3.0  # half a second on a quiet machine; tests share theirs
