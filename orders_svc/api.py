"""Orders over HTTP."""

from typing import Any, cast
from uuid import UUID

from flask import Response, current_app
from sqlalchemy import Row
from sqlalchemy.exc import IntegrityError

from orders_svc import queries
from orders_svc.domain import BY_CUSTOMER, BY_STAFF, CANCELLED, DECIDED, CannotCancel, Order
from orders_svc.intake import Door, new_order, priced
from orders_svc.saga_engine import Engine
from orders_svc.schemas import OrderListSchema, OrderSchema, PlaceOrderSchema, TimelineSchema
from orders_svc.tables import OrdersWork, is_stale, order_of
from shared_events import database, logs
from shared_events.spare import Spare
from shared_http import prefer, problems
from shared_http.application import json_response
from shared_http.auth import current_identity
from shared_http.blueprint import Blueprint, requires
from shared_http.edge import current_edge
from shared_http.idempotency import idempotent, remember, remember_with
from shared_http.identity import CUSTOMER, STAFF
from shared_http.paging import page_of
from shared_http.problems import Problem, at_body

blp = Blueprint("orders", __name__, description="Orders, from their acceptance to their end")

ORDER_COMPLETED = problems.register(
    "order-completed",
    409,
    "The order is completed",
    "A completed order cannot be cancelled; staff can refund its payment.",
)
NOT_YOUR_CUSTOMER = problems.register(
    "customer-id-needs-staff",
    403,
    "Only staff order for somebody else",
    "Leave `customer_id` out: the token says who orders.",
)
CUSTOMER_NEEDED = problems.register(
    "customer-id-missing", 422, "For whom?", "A token of staff that is no customer must name `customer_id`."
)
_SOON = {"Retry-After": "1"}


def _checkout() -> "Engine[Order]":
    return cast("Engine[Order]", current_app.config["CHECKOUT"])


def _door() -> Door:
    return cast("Door", current_app.config["DOOR"])


def _spare() -> Spare:
    return cast("Spare", current_app.config["SPARE"])


def _replay(stored: Response) -> Response:
    """Render a repeated request: the stored 202, or with `Prefer: wait` the order as it is by then."""
    order_id = UUID(stored.headers["Location"].rpartition("/")[2])
    return _when_decided(order_id) or stored


@blp.route("/v1/orders", methods=["POST"], access=requires(CUSTOMER, STAFF))
@idempotent(required=True, on_replay=_replay)
@blp.arguments(PlaceOrderSchema())
@blp.response(202, OrderSchema())
def place_order(body: dict[str, Any]) -> Response:
    """Accept an order. The answer does not wait for stock or payment: follow `Location`."""
    customer_id = _customer(body["customer_id"])
    order, accepted = _accept_by_memory(body, customer_id) or _accept(body, customer_id)
    logs.each(current_app.logger, "accepted", [{"order_id": str(order.id)}])
    return _when_decided(order.id) or accepted


_Accepted = tuple[Order, Response]


def _accept_by_memory(body: dict[str, Any], customer_id: UUID) -> _Accepted | None:
    """Accept an order at the prices that are remembered; None unless they are those of this moment."""
    catalogue, now = _door().remembered(_skus(body)), _door().now()
    if catalogue is None or now is None:
        return None
    try:
        lines, total = priced(body, customer_id, catalogue, suspended=False)
    except Problem:
        return None  # nobody is refused by what is only remembered
    try:
        with _spare().one_statement(OrdersWork) as work:
            _door().refuse_if_full(work.connection)
            return _begin(work, new_order(body, customer_id, lines, total, now), by_memory=True)
    except IntegrityError as error:
        if is_stale(error):
            return None
        raise


def _accept(body: dict[str, Any], customer_id: UUID) -> _Accepted:
    """Accept an order at the prices that are read. Raises Problem."""
    with _spare().one_statement(OrdersWork) as work:
        _door().refuse_if_full(work.connection)
        catalogue, suspended = work.catalogue(_skus(body), customer_id)
        _door().remember(catalogue)
        lines, total = priced(body, customer_id, catalogue, suspended=suspended)
        return _begin(work, new_order(body, customer_id, lines, total, work.now), by_memory=False)


def _begin(work: OrdersWork, order: Order, *, by_memory: bool) -> _Accepted:
    """Have the order, its first messages and its answer written together."""
    work.add(order, by_memory=by_memory)
    work.emit(order.place(_checkout(), order.created_at), correlation_id=order.id)
    headers = {"Location": f"/v1/orders/{order.id}", **_SOON}
    accepted = json_response(queries.shown_new(order), 202, headers)
    remember_with(work, accepted)
    return order, accepted


def _skus(body: dict[str, Any]) -> set[str]:
    return {line["sku"] for line in body["lines"]}


def _customer(asked_for: UUID | None) -> UUID:
    me = current_identity()
    if asked_for is not None and not me.may_see(asked_for):
        raise Problem(NOT_YOUR_CUSTOMER, errors=[at_body("#/customer_id", "is not you")])
    if asked_for is None and CUSTOMER not in me.scopes:
        raise Problem(CUSTOMER_NEEDED, errors=[at_body("#/customer_id", "is missing")])
    return asked_for or me.customer_id


def _when_decided(order_id: UUID) -> Response | None:
    """With `Prefer: wait=N`, return 201 and the order if it is decided in time.

    The order is accepted by now: a database that goes away meanwhile only ends the wait.
    """
    seconds = prefer.wait_asked()
    try:
        row = _wait(order_id, seconds) if seconds else None
    except database.LOST:
        return None
    if seconds is None or row is None:
        return None
    headers = {"Location": f"/v1/orders/{order_id}", **prefer.applied(seconds)}
    return json_response(queries.shown(row), 201, headers)


def _wait(order_id: UUID, seconds: int) -> Row[Any] | None:
    def decided() -> Row[Any] | None:
        with current_edge().engine.connect() as connection:
            row = queries.find(connection, order_id)
        return row if row is not None and row.status in DECIDED else None

    return current_edge().waiters.wait_until(decided, seconds)


@blp.route("/v1/orders/<uuid:order_id>", access=requires(CUSTOMER, STAFF))
@blp.etag
@blp.response(200, OrderSchema())
def get_order(order_id: UUID) -> Any:
    """Show an order; with `Prefer: wait=N` when it is decided, or after N seconds."""
    row = _visible(order_id)
    headers: dict[str, str] = {}
    seconds = prefer.wait_asked()
    if seconds and row.status not in DECIDED:
        decided = _wait(order_id, seconds)
        if decided is not None:
            row, headers = decided, prefer.applied(seconds)
    blp.set_version(row.version)
    return queries.shown(row), 200, headers


@blp.route("/v1/orders", access=requires(CUSTOMER, STAFF))
@blp.arguments(OrderListSchema(), location="query")
@blp.response(200, page_of(OrderSchema))
def list_orders(wanted: dict[str, Any]) -> Any:
    """List orders, newest first: one's own, or for staff everybody's."""
    me = current_identity()
    mine = wanted["customer_id"] if me.is_staff else me.customer_id
    if wanted["customer_id"] not in (None, mine):
        raise Problem(problems.NOT_FOUND)
    with current_edge().engine.connect() as connection:
        page = queries.page(connection, wanted, mine)
    return page.answer([queries.shown(row) for row in page.rows])


@blp.route("/v1/orders/<uuid:order_id>/timeline", access=requires(CUSTOMER, STAFF))
@blp.response(200, TimelineSchema())
def get_timeline(order_id: UUID) -> Any:
    """Show what happened to an order, and what it waits for."""
    row = _visible(order_id)
    order = order_of(row)
    with current_edge().engine.connect() as connection:
        entries = queries.timeline(connection, order_id)
        waiting = queries.waits(connection, order, _checkout(), entries)
    return {"items": entries, "waits_for": order.waits_for(_checkout()), "waiting": waiting}


@blp.route("/v1/orders/<uuid:order_id>/cancellation", methods=["POST"], access=requires(CUSTOMER, STAFF))
@idempotent(required=False)
@blp.response(202, OrderSchema())
def cancel_order(order_id: UUID) -> Response:
    """Cancel an order at any stage but the last: 202 while it is undone, 200 when nothing is left to undo."""
    owner = _visible(order_id).customer_id
    reason = BY_CUSTOMER if current_identity().customer_id == owner else BY_STAFF
    with database.transaction(current_edge().engine, OrdersWork) as work:
        work.lock_orders([order_id])
        order = work.order(order_id)
        try:
            outputs = order.cancel(_checkout(), reason, f"asked for {reason.replace('_', ' ')}", work.now)
        except CannotCancel as error:
            raise Problem(ORDER_COMPLETED, str(error)) from error
        work.emit(outputs, correlation_id=order_id)
        work.save()  # so that the answer shows the order as it will be committed
        row = queries.find(work.connection, order_id)
        if row is None:
            raise LookupError(f"order {order_id} vanished under its lock")
        status = 200 if row.status == CANCELLED else 202
        answer = json_response(queries.shown(row), status, {} if status == 200 else _SOON)
        remember(work.connection, answer)
    return answer


def _visible(order_id: UUID) -> Row[Any]:
    with current_edge().engine.connect() as connection:
        row = queries.find(connection, order_id)
    if row is None or not current_identity().may_see(row.customer_id):
        raise Problem(problems.NOT_FOUND)
    return row
