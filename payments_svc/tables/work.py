"""How payments are loaded, locked and saved."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Connection, Row, Table
from sqlalchemy.dialects import postgresql

from payments_svc.domain import Call, Intent, Payment, Refund
from payments_svc.tables.columns import INTENTS, PAYMENTS, REFUNDS
from shared_events.contract import Message
from shared_events.contracts.payments import AuthorizePayment, VoidPayment
from shared_events.contracts.values import Money
from shared_events.statements import run
from shared_events.work import UnitOfWork
from shared_events.writes import over_rows

_OWNED_BY_THE_DATABASE = {"version", "created_at", "updated_at"}
Values = tuple[Any, ...]
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


class PaymentsWork(UnitOfWork):
    """The payments of the orders that the messages are about, with their intents and refunds."""

    service = "payments"

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.payments: dict[UUID, Payment] = {}
        self.now = datetime.min.replace(tzinfo=UTC)
        self.call: Call | None = None  # the one that was leased last
        self.wait_s = 0.0  # no call may be leased for so long
        self._saved: dict[UUID, Values] = {}

    def lock(self, messages: Sequence[Message]) -> None:
        """Lock the payments of these messages' orders; the payment's row guards its intents and refund."""
        # Two transactions may both be about to make an order's first row: the advisory lock lets one wait.
        beginning = {each.order_id for each in messages if isinstance(each, AuthorizePayment | VoidPayment)}
        if beginning:
            keys = sorted(int.from_bytes(each.bytes[8:], signed=True) for each in beginning)
            for row in run(self.connection, _LOCK_ORDERS, {"keys": keys}):
                self.now = row.now  # a first row's lease begins now, too
        self.lock_orders(getattr(each, "order_id") for each in messages)  # noqa: B009  all of ours have one

    def lock_orders(self, order_ids: Iterable[UUID]) -> None:
        """Lock, then read, the payments of these orders, in the order of the ids."""
        ids = sorted(set(order_ids) - self.payments.keys())
        found = run(self.connection, _LOCK_PAYMENTS, {"ids": ids}) if ids else []
        by_id = {row.id: _payment(row) for row in found}
        self._load_parts(by_id)
        for row in found:
            self.now = row.now
        for payment in by_id.values():
            self.payments[payment.order_id] = payment
            self._saved.update((id_, values) for _, id_, values in _rows(payment))

    def add(self, payment: Payment) -> Payment:
        """Take in a new payment; its order must be locked."""
        self.payments[payment.order_id] = payment
        return payment

    def flush(self) -> None:
        """Hand over new and changed rows, as one statement per table and kind."""
        new: dict[Table, list[dict[str, Any]]] = {table: [] for table in _NAMES}
        changed: dict[Table, list[dict[str, Any]]] = {table: [] for table in _NAMES}
        for payment in self.payments.values():
            for table, id_, values in _rows(payment):
                saved = self._saved.get(id_)
                if saved != values:
                    row = dict(zip(_NAMES[table], values, strict=True))
                    (new if saved is None else changed)[table].append(row)
                    self._saved[id_] = values
        for table in _NAMES:
            self.write(_insert_of(table), new[table])
            self.write(_update_of(table), changed[table])

    def _load_parts(self, payments: dict[UUID, Payment]) -> None:
        """Read what belongs to these payments. Only now: before the lock it could still change."""
        if not payments:
            return
        for row in run(self.connection, _INTENTS_OF, {"ids": list(payments)}):
            payments[row.payment_id].intents[row.operation] = Intent(*row)
        refunded = [each.id for each in payments.values() if "refund" in each.intents]
        if refunded:
            for row in run(self.connection, _REFUNDS_OF, {"ids": refunded}):
                payments[row.payment_id].refund = _refund(row)


@cache
def _insert_of(table: Table) -> str:
    """Return one INSERT for many rows of a table."""
    names = ", ".join(column.name for column in _own(table))
    statement = f"INSERT INTO {table.name} ({names}) SELECT * FROM {{rows}}"  # noqa: S608  our own names
    return over_rows(_columns(table), statement)


@cache
def _update_of(table: Table) -> str:
    """Return one UPDATE for many rows of a table."""
    changes = [f"{column.name} = new.{column.name}" for column in _own(table) if column.name != "id"]
    changes.append("updated_at = now()")
    if "version" in table.c:
        changes.append("version = was.version + 1")
    statement = f"UPDATE {table.name} AS was SET {', '.join(changes)} FROM {{rows}} WHERE was.id = new.id"  # noqa: S608
    return over_rows(_columns(table), statement)


def _columns(table: Table) -> str:
    return ", ".join(f"{each.name} {each.type.compile(_DIALECT)}" for each in _own(table))


def _own(table: Table) -> list[Column[Any]]:
    return [column for column in table.c if column.name not in _OWNED_BY_THE_DATABASE]


_LOCK_ORDERS = """
    SELECT pg_advisory_xact_lock(key), now() AS now FROM unnest(%(keys)s::bigint[]) AS key
"""
_LOCK_PAYMENTS = """
    SELECT *, now() AS now FROM payments WHERE order_id = ANY(%(ids)s::uuid[]) ORDER BY order_id FOR UPDATE
"""
_INTENTS_OF = f"""
    SELECT {", ".join(field.name for field in fields(Intent))} FROM intents WHERE payment_id = ANY(%(ids)s::uuid[])
"""  # noqa: S608  our own names
_REFUNDS_OF = "SELECT * FROM refunds WHERE payment_id = ANY(%(ids)s::uuid[])"


def _rows(payment: Payment) -> Iterable[tuple[Table, UUID, Values]]:
    """Return the rows that a payment is made of: table, id, and all values in the order of `_NAMES`."""
    money, refund = payment.amount, payment.refund
    yield (
        PAYMENTS,
        payment.id,
        (
            payment.id,
            payment.order_id,
            payment.customer_id,
            money.amount if money else None,
            money.currency if money else None,
            payment.method,
            payment.status,
            payment.void_requested,
            payment.void_reason,
        ),
    )
    for intent in payment.intents.values():
        yield INTENTS, intent.id, _INTENT_VALUES(intent)
    if refund:
        amount, currency = refund.amount.amount, refund.amount.currency
        start = (refund.id, refund.payment_id, refund.order_id, amount, currency)
        yield REFUNDS, refund.id, (*start, refund.reason, refund.requested_by, refund.status)


_NAMES = {table: [column.name for column in _own(table)] for table in (PAYMENTS, INTENTS, REFUNDS)}
_INTENT_VALUES: Callable[[Intent], Values] = attrgetter(*_NAMES[INTENTS])


def _payment(row: Row[Any]) -> Payment:
    return Payment(
        row.order_id,
        row.id,
        row.customer_id,
        None if row.amount is None else Money(row.amount, row.currency),
        row.method,
        row.status,
        row.void_requested,
        row.void_reason,
        row.version,
    )


def _refund(row: Row[Any]) -> Refund:
    money = Money(row.amount, row.currency)
    return Refund(row.payment_id, row.order_id, money, row.reason, row.requested_by, row.id, row.status)
