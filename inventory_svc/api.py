"""Inventory over HTTP: the catalogue, and the ledger of its stock."""

from dataclasses import replace
from typing import Any

from flask import Response
from marshmallow import ValidationError

from inventory_svc import queries
from inventory_svc.domain import Details, Kind, Product
from inventory_svc.schemas import (
    MovementSchema,
    MoveSchema,
    ProductChangeSchema,
    ProductFilterSchema,
    ProductReplaceSchema,
    ProductSchema,
)
from inventory_svc.tables import InventoryWork
from shared_events import database
from shared_events.contracts.values import Money
from shared_http import problems
from shared_http.application import json_response
from shared_http.blueprint import OPEN, Blueprint, requires
from shared_http.edge import current_edge
from shared_http.fields import SKU
from shared_http.idempotency import idempotent, remember
from shared_http.identity import STAFF
from shared_http.paging import PageArguments, page_of
from shared_http.problems import Problem, at_body, at_parameter

JSON = dict[str, Any]
Answer = tuple[JSON | None, int, dict[str, str]]

blp = Blueprint("products", __name__, url_prefix="/v1/products", description="Catalogue and stock")
# A product is shown with its availability, which changes without a new version: never answer "not modified".
blp.METHODS_CHECKING_NOT_MODIFIED = []

STOCK_RESERVED = problems.register(
    "stock-reserved",
    409,
    "The pieces are reserved",
    "The adjustment would take pieces that are set aside for orders. Adjust by less, or cancel orders first.",
)


@blp.route("", access=OPEN)
@blp.arguments(ProductFilterSchema, location="query")
@blp.response(200, page_of(ProductSchema))
def list_products(wanted: JSON) -> Any:
    """List products by SKU, with price and availability."""
    with current_edge().engine.connect() as connection:
        page = queries.products(connection, **wanted)
    return page.answer([queries.shown_product(row) for row in page.rows])


@blp.route("/<sku>", access=OPEN)
@blp.etag
@blp.response(200, ProductSchema)
def get_product(sku: str) -> JSON:
    """Show a product."""
    with current_edge().engine.connect() as connection:
        product = queries.product(connection, sku)
    if product is None:
        raise Problem(problems.NOT_FOUND)
    blp.set_version(product["version"])
    return product


@blp.route("/<sku>", methods=["PUT"], access=requires(STAFF))
@blp.arguments(ProductReplaceSchema)
@blp.etag
@blp.response(200, ProductSchema)
@blp.alt_response(201, schema=ProductSchema, description="Created")
def put_product(body: JSON, sku: str) -> Answer:
    """Create or replace a product.

    The same body again changes nothing. A catalogue kept elsewhere sends its own `external_version`: a body
    with an older one than the last is ignored, and the present state is the answer.
    """
    external_version = body.pop("external_version")
    details = Details(**_members(body))
    with database.transaction(current_edge().engine, InventoryWork) as work:
        product = work.lock_product(_well_formed(sku))
        if product is None:
            product = Product(sku, details, external_version=external_version)
            work.introduce(product)
            return _tell(work, product, 201)
        changed = product.replace(details, external_version)
        return _tell(work, product) if changed else _answer(work, product)


@blp.route("/<sku>", methods=["PATCH"], access=requires(STAFF))
@blp.arguments(ProductChangeSchema)
@blp.etag
@blp.response(200, ProductSchema)
def patch_product(body: JSON, sku: str) -> Answer:
    """Change some members of a product."""
    with database.transaction(current_edge().engine, InventoryWork) as work:
        product = work.lock_product(sku)
        if product is None:
            raise Problem(problems.NOT_FOUND)
        blp.check_version(product.version)
        changed = product.replace(replace(product.details, **_members(body)))
        return _tell(work, product) if changed else _answer(work, product)


@blp.route("/<sku>/stock-movements", access=requires(STAFF))
@blp.arguments(PageArguments, location="query")
@blp.response(200, page_of(MovementSchema))
def list_movements(wanted: JSON, sku: str) -> Any:
    """List a product's stock movements, newest first."""
    with current_edge().engine.connect() as connection:
        page = queries.movements(connection, sku, **wanted)
    if page is None:
        raise Problem(problems.NOT_FOUND)
    return page.answer([queries.shown_movement(row) for row in page.rows])


@blp.route("/<sku>/stock-movements", methods=["POST"], access=requires(STAFF))
@idempotent(required=True)
@blp.arguments(MoveSchema)
@blp.response(201, MovementSchema)
def move_stock(body: JSON, sku: str) -> Response:
    """Receive pieces, or adjust the count."""
    with database.transaction(current_edge().engine, InventoryWork) as work:
        work.lock_stock([sku])
        if sku not in work.stock:
            raise Problem(problems.NOT_FOUND)
        movement = work.shift(sku, Kind(body["kind"]), body["quantity"], body["cause"])
        if movement is None:
            free = f"only {work.stock[sku].available} pieces are not reserved"
            raise Problem(STOCK_RESERVED, errors=[at_body("#/quantity", free)])
        work.save()
        shown = MovementSchema().dump(queries.movement(work.connection, movement.id))
        answer = json_response(shown, 201)
        remember(work.connection, answer)
        return answer


def _well_formed(sku: str) -> str:
    """Return the SKU of a new product. Raises Problem."""
    try:
        return str(SKU(sku))
    except ValidationError as error:
        raise Problem(problems.INVALID_REQUEST, errors=[at_parameter("sku", str(error))]) from error


def _members(body: JSON) -> JSON:
    """Return the members of a body as those of Details."""
    return {**body, "price": Money(**body["price"])} if "price" in body else body


def _tell(work: InventoryWork, product: Product, status: int = 200) -> Answer:
    """Let the change leave with the transaction, and answer."""
    work.emit([product.fact()])
    return _answer(work, product, status)


def _answer(work: InventoryWork, product: Product, status: int = 200) -> Answer:
    work.save()
    blp.set_version(product.version)
    headers = {"Location": f"/v1/products/{product.sku}"} if status == 201 else {}
    return queries.product(work.connection, product.sku), status, headers
