"""Payments over HTTP: what was paid, refunds by staff, and the provider's books."""

from typing import Any
from uuid import UUID

from flask import Response, current_app

from payments_svc import queries
from payments_svc.domain import Payment
from payments_svc.handlers import outputs
from payments_svc.provider import KeepsRecords, ProviderTimeout, ProviderUnavailable
from payments_svc.schemas import (
    PaymentFilterSchema,
    PaymentSchema,
    RecordFilterSchema,
    RecordSchema,
    RefundRequestSchema,
    RefundSchema,
)
from payments_svc.tables import PaymentsWork
from shared_events import database, trace
from shared_http import problems
from shared_http.application import json_response
from shared_http.auth import current_identity
from shared_http.blueprint import Blueprint, requires
from shared_http.edge import current_edge
from shared_http.idempotency import idempotent, remember
from shared_http.identity import CUSTOMER, OPS, STAFF
from shared_http.paging import UNKNOWN_CURSOR, Page, page_of
from shared_http.problems import Problem, at_body, at_parameter

JSON = dict[str, Any]

blp = Blueprint("payments", __name__, description="Payments and refunds")

NOT_CAPTURED = problems.register(
    "not-captured",
    409,
    "There is no captured money to refund",
    "Only a payment with the status `captured` can be refunded, and only once.",
)
PARTIAL_REFUND = problems.register(
    "partial-refund-unsupported",
    422,
    "A part cannot be refunded",
    "Leave `amount` out, or give the whole captured amount in its own currency.",
)
NO_RECORDS = problems.register(
    "provider-without-records",
    404,
    "This provider's books cannot be read",
    "The payment provider in use offers no records, so nothing can be compared with them.",
)
PROVIDER_AWAY = problems.register(
    "provider-unavailable",
    503,
    "The payment provider cannot be reached",
    "Ask again later. Payments go on by themselves when the provider is back.",
)


@blp.route("/v1/payments", access=requires(CUSTOMER, STAFF))
@blp.arguments(PaymentFilterSchema, location="query")
@blp.response(200, page_of(PaymentSchema))
def list_payments(wanted: JSON) -> Any:
    """List payments, newest first: one's own, or for staff everybody's."""
    me = current_identity()
    with current_edge().engine.connect() as connection:
        page = queries.payments(connection, None if me.is_staff else me.customer_id, **wanted)
    return page.answer([queries.shown_payment(row) for row in page.rows])


@blp.route("/v1/payments/<uuid:payment_id>", access=requires(CUSTOMER, STAFF))
@blp.etag
@blp.response(200, PaymentSchema)
def get_payment(payment_id: UUID) -> JSON:
    """Show a payment."""
    with current_edge().engine.connect() as connection:
        row = queries.payment(connection, payment_id)
    if row is None or not current_identity().may_see(row.customer_id):
        raise Problem(problems.NOT_FOUND)
    blp.set_version(row.version)
    return queries.shown_payment(row)


@blp.route("/v1/refunds/<uuid:refund_id>", access=requires(CUSTOMER, STAFF))
@blp.response(200, RefundSchema)
def get_refund(refund_id: UUID) -> JSON:
    """Show a refund."""
    with current_edge().engine.connect() as connection:
        row = queries.refund(connection, refund_id)
    if row is None or not current_identity().may_see(row.customer_id):
        raise Problem(problems.NOT_FOUND)
    return queries.shown_refund(row)


@blp.route("/v1/payments/<uuid:payment_id>/refunds", methods=["POST"], access=requires(STAFF))
@idempotent(required=True)
@blp.arguments(RefundRequestSchema)
@blp.response(202, RefundSchema)
def refund_payment(body: JSON, payment_id: UUID) -> Response:
    """Give all that was captured back. The order keeps its status; follow `Location`."""
    with database.transaction(current_edge().engine, PaymentsWork) as work:
        payment = _locked(work, payment_id)
        _refuse_unless_refundable(payment, body["amount"])
        said = payment.give_back(body["reason"], current_identity().subject)
        work.emit(outputs(said), correlation_id=payment.order_id, traceparent=trace.current())
        work.save()  # so that the answer shows the refund as it will be committed
        answer = _accepted(work, payment)
        remember(work.connection, answer)
    return answer


@blp.route("/ops/payments/provider-records", access=requires(OPS))
@blp.arguments(RecordFilterSchema, location="query")
@blp.response(200, page_of(RecordSchema))
def list_provider_records(wanted: JSON) -> Any:
    """List the provider's own records of authorisations, oldest first."""
    provider = current_app.config["PROVIDER"]
    if not isinstance(provider, KeepsRecords):
        raise Problem(NO_RECORDS)
    order_id, limit = wanted["order_id"], wanted["limit"]
    try:
        records = provider.records(
            order_id=str(order_id) if order_id else None, after=_position(wanted["cursor"]), limit=limit
        )
    except (ProviderUnavailable, ProviderTimeout) as error:
        raise Problem(PROVIDER_AWAY, str(error), headers={"Retry-After": "5"}) from error
    page = Page((), str(records[-1].position) if len(records) == limit else None)
    return page.answer(records)


def _locked(work: PaymentsWork, payment_id: UUID) -> Payment:
    """Return the payment, locked. Raises Problem."""
    row = queries.payment(work.connection, payment_id)
    if row is None:
        raise Problem(problems.NOT_FOUND)
    work.lock_orders([row.order_id])
    return work.payments[row.order_id]


def _refuse_unless_refundable(payment: Payment, asked: JSON | None) -> None:
    captured = payment.amount
    if captured is None or not payment.is_refundable:
        raise Problem(NOT_CAPTURED, f"The payment is {payment.status}.")
    if asked is not None and (asked["amount"], asked["currency"]) != (captured.amount, captured.currency):
        whole = f"the captured amount is {captured.amount} {captured.currency}"
        raise Problem(PARTIAL_REFUND, errors=[at_body("#/amount", whole)])


def _accepted(work: PaymentsWork, payment: Payment) -> Response:
    refund = payment.refund
    row = queries.refund(work.connection, refund.id) if refund else None
    if row is None:
        raise LookupError(f"the refund of payment {payment.id} vanished under its lock")
    return json_response(
        queries.shown_refund(row), 202, {"Location": f"/v1/refunds/{row.id}", "Retry-After": "1"}
    )


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise Problem(UNKNOWN_CURSOR, errors=[at_parameter("cursor", "not a cursor of this list")])
    return int(cursor)
