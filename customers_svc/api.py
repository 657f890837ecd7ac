"""Customers over HTTP: register, profile, list, suspend."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy.exc import IntegrityError

from customers_svc import queries
from customers_svc.domain import Customer, Profile, changed_profile
from customers_svc.queries import shown
from customers_svc.schemas import (
    CustomerFilterSchema,
    CustomerSchema,
    ProfileChangeSchema,
    ProfileSchema,
    RegisterSchema,
    SuspendSchema,
)
from customers_svc.settings import open_registration
from customers_svc.tables import Customers, customer_of
from shared_events import database, trace
from shared_events.contracts.customers import (
    CustomerChanged,
    CustomerRegistered,
    CustomerReinstated,
    CustomerSuspended,
)
from shared_http import problems
from shared_http.application import json_response
from shared_http.auth import current_identity, insufficient_scope, optional_identity, unauthenticated
from shared_http.blueprint import OPEN, Blueprint, requires
from shared_http.edge import current_edge
from shared_http.idempotency import idempotent, remember
from shared_http.identity import CUSTOMER, STAFF, customer_id_of
from shared_http.paging import page_of
from shared_http.problems import Problem, at_body

JSON = dict[str, Any]
FactAbout = type[CustomerRegistered | CustomerChanged | CustomerSuspended | CustomerReinstated]

blp = Blueprint("customers", __name__, url_prefix="/v1/customers", description="Profiles and suspensions")

EMAIL_TAKEN = problems.register(
    "email-taken", 409, "The e-mail address is taken", "Another customer is registered with this address."
)
ALREADY_REGISTERED = problems.register(
    "already-registered",
    409,
    "The customer is registered already",
    "The token's customer is registered with another address: change the profile instead.",
)
_EMAIL_TAKEN_AT = [at_body("#/email", "taken")]


@blp.route("", methods=["POST"], access=OPEN)
@idempotent(required=False)
@blp.arguments(RegisterSchema)
@blp.response(201, CustomerSchema)
def register_customer(body: JSON) -> Response:
    """Register a customer.

    With a customer's token the customer is the token's. Staff, and anyone where registration is open,
    register an address: the customer is then the one whose token says this address.
    """
    customer_id = _id_to_register(body["email"])
    with _transaction() as work:
        return _register(work, customer_id, Profile(**body))


@blp.route("/me", access=requires(CUSTOMER))
@blp.etag
@blp.response(200, CustomerSchema)
def get_me() -> JSON:
    """Show the token's customer."""
    return _show(current_identity().customer_id)


@blp.route("/me", methods=["PUT"], access=requires(CUSTOMER))
@blp.arguments(ProfileSchema)
@blp.etag
@blp.response(200, CustomerSchema)
@blp.alt_response(201, schema=CustomerSchema, description="Registered")
def put_me(body: JSON) -> Response:
    """Replace the profile of the token's customer, or register it."""
    profile = Profile(**{**body, "addresses": tuple(body["addresses"])})
    with _transaction() as work:
        customer = work.get(current_identity().customer_id)
        if customer is None:
            return _register(work, current_identity().customer_id, profile)
        return _change(work, customer, profile)


@blp.route("/me", methods=["PATCH"], access=requires(CUSTOMER))
@blp.arguments(ProfileChangeSchema)
@blp.etag
@blp.response(200, CustomerSchema)
def patch_me(body: JSON) -> Response:
    """Change some members of the profile of the token's customer."""
    if "addresses" in body:
        body["addresses"] = tuple(body["addresses"])
    with _transaction() as work:
        customer = _existing(work.get(current_identity().customer_id))
        return _change(work, customer, changed_profile(customer.profile, body))


@blp.route("", access=requires(STAFF))
@blp.arguments(CustomerFilterSchema, location="query")
@blp.response(200, page_of(CustomerSchema))
def list_customers(wanted: JSON) -> Any:
    """List customers, newest first."""
    with current_edge().engine.connect() as connection:
        page = queries.customers(connection, **wanted)
    return page.answer([shown(customer_of(row), to_staff=True) for row in page.rows])


@blp.route("/<uuid:customer_id>", access=requires(CUSTOMER, STAFF))
@blp.etag
@blp.response(200, CustomerSchema)
def get_customer(customer_id: UUID) -> JSON:
    """Show a customer."""
    if not current_identity().may_see(customer_id):
        raise Problem(problems.NOT_FOUND)
    return _show(customer_id)


@blp.route("/<uuid:customer_id>/suspension", methods=["POST"], access=requires(STAFF))
@idempotent(required=False)
@blp.arguments(SuspendSchema)
@blp.response(200, CustomerSchema)
def suspend_customer(body: JSON, customer_id: UUID) -> Response:
    """Forbid a customer to order; a second time changes nothing."""
    with _transaction() as work:
        customer = _existing(work.get(customer_id))
        if customer.suspend(body["reason"], datetime.now(UTC)):
            _tell(work, CustomerSuspended, customer)
        answer = json_response(shown(customer, to_staff=True))
        remember(work.connection, answer)
        return answer


@blp.route("/<uuid:customer_id>/suspension", methods=["DELETE"], access=requires(STAFF))
@blp.response(204)
def reinstate_customer(customer_id: UUID) -> Response:
    """Allow a customer to order again; a second time changes nothing."""
    with _transaction() as work:
        customer = _existing(work.get(customer_id))
        if customer.reinstate(datetime.now(UTC)):
            _tell(work, CustomerReinstated, customer)
    return Response(status=204)


def _id_to_register(email: str) -> UUID:
    identity = optional_identity()
    if identity is None and not open_registration():
        raise unauthenticated()
    if identity is not None and CUSTOMER in identity.scopes:
        return identity.customer_id
    if identity is not None and not identity.is_staff:
        raise insufficient_scope({CUSTOMER, STAFF})
    return customer_id_of(current_edge().settings.jwt_issuer, email)


@contextmanager
def _transaction() -> Iterator[Customers]:
    """Give a unit of work; an address that somebody else took meanwhile is a refusal, not an error."""
    try:
        with database.transaction(current_edge().engine, Customers) as work:
            yield work
    except IntegrityError as error:  # the only rule that a change can break is the unique address
        raise Problem(EMAIL_TAKEN, errors=_EMAIL_TAKEN_AT) from error


def _register(work: Customers, customer_id: UUID, profile: Profile) -> Response:
    now = datetime.now(UTC)
    customer = Customer(customer_id, profile, created_at=now, updated_at=now)
    if not work.add(customer):
        if work.email_is_taken(profile.email):
            raise Problem(EMAIL_TAKEN, errors=_EMAIL_TAKEN_AT)
        raise Problem(ALREADY_REGISTERED)
    _tell(work, CustomerRegistered, customer)
    blp.set_version(customer.version)
    headers = {"Location": f"/v1/customers/{customer_id}"}
    answer = json_response(shown(customer, to_staff=False), 201, headers)
    remember(work.connection, answer)
    return answer


def _change(work: Customers, customer: Customer, profile: Profile) -> Response:
    blp.check_version(customer.version)
    if customer.change(profile, datetime.now(UTC)):
        _tell(work, CustomerChanged, customer)
    blp.set_version(customer.version)
    return json_response(shown(customer, to_staff=False))


def _show(customer_id: UUID) -> JSON:
    with current_edge().engine.connect() as connection:
        customer = _existing(queries.customer(connection, customer_id))
    blp.set_version(customer.version)
    return shown(customer, to_staff=current_identity().is_staff)


def _existing(customer: Customer | None) -> Customer:
    if customer is None:
        raise Problem(problems.NOT_FOUND)
    return customer


def _tell(work: Customers, fact: FactAbout, customer: Customer) -> None:
    told = fact(customer_id=customer.id, suspended=customer.suspended, aggregate_version=customer.version)
    work.emit([told], correlation_id=customer.id, traceparent=trace.current())
