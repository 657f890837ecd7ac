"""The four services' OpenAPI documents, and one made of them.

`/openapi.json` of the gateway: what a client may call, whichever service answers it.
"""

import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from orderflow_cli.names import SERVICES

Document = dict[str, Any]

_SCHEMAS = "schemas"
_PUBLIC = ("/v1/", "/ops/")
_DESCRIPTION = """\
Four services behind one address. Send `Authorization: Bearer <token>`; each route names the scopes of which it
wants one (`customer`, `staff`, `ops`). A POST that moves stock or money needs an `Idempotency-Key`. Errors are
`application/problem+json` (RFC 9457); their `type` is a page [here](/problems).
"""
# Enough for an application to be made. Nothing is connected to before its first request, and none is sent.
_NOWHERE = {
    "ORDERFLOW_DATABASE_URL": "postgresql://nobody@localhost/none",
    "ORDERFLOW_BROKER_URL": "amqp://nobody@localhost/none",
    "ORDERFLOW_REDIS_URL": "redis://localhost/0",
    "ORDERFLOW_JWT_ISSUER": "https://issuer.invalid",
    "ORDERFLOW_JWT_AUDIENCE": "nobody",
    "ORDERFLOW_JWKS_URL": "file:///none",
    "ORDERFLOW_PROVIDER_URL": "http://localhost",
    "ORDERFLOW_LOG_LEVEL": "WARNING",
}


def documents() -> dict[str, Document]:
    """Return the document that each service's API serves on its own address, by service."""
    with _environment(_NOWHERE):
        return {service: _document(service) for service in SERVICES}


def merged(found: Mapping[str, Document]) -> Document:
    """Return one document: every public route, tagged with its service, with all shapes that they refer to."""
    paths: Document = {}
    components: dict[str, Document] = {}
    for service, document in found.items():
        own = _renamed(document, _collisions(document, components), service)
        _add_components(components, own)
        for path, item in own["paths"].items():
            if path.startswith(_PUBLIC):
                paths[path] = _tagged(item, service, path)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Orderflow", "version": version("orderflow"), "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": list(_tags(found)),
        "paths": paths,
        "components": components,
    }


def _document(service: str) -> Document:
    app = importlib.import_module(f"{service}_svc.app").create_app()
    document: Document = app.test_client().get("/openapi.json").get_json()
    return document


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Have these as the only variables of ours, so that the result is the same wherever it is made."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("ORDERFLOW_"):
            del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _collisions(document: Document, components: Mapping[str, Document]) -> list[str]:
    """Return the schemas whose name another service uses for another shape."""
    known = components.get(_SCHEMAS, {})
    return [
        name for name, schema in document["components"][_SCHEMAS].items() if known.get(name, schema) != schema
    ]


def _renamed(document: Document, names: list[str], service: str) -> Document:
    """Return the document with these schemas, and what refers to them, named after the service."""
    if not names:
        return document
    new = {name: f"{service.capitalize()}{name}" for name in names}
    schemas = document["components"][_SCHEMAS]
    own = {new.get(name, name): schema for name, schema in schemas.items()}
    components = {**document["components"], _SCHEMAS: own}
    prefix = f"#/components/{_SCHEMAS}/"
    references = {prefix + name: prefix + renamed for name, renamed in new.items()}
    result: Document = _redirected({**document, "components": components}, references)
    return result


def _redirected(part: Any, references: Mapping[str, str]) -> Any:
    if isinstance(part, dict):
        return {
            key: references.get(value, value) if key == "$ref" else _redirected(value, references)
            for key, value in part.items()
        }
    if isinstance(part, list):
        return [_redirected(value, references) for value in part]
    return part


def _add_components(components: dict[str, Document], document: Document) -> None:
    for kind, parts in document["components"].items():
        known = components.setdefault(kind, {})
        for name, part in parts.items():
            if known.setdefault(name, part) != part:
                raise ValueError(f"two services mean different things by {kind}/{name}")


def _tagged(item: Document, service: str, path: str) -> Document:
    tag = f"{service}-operations" if path.startswith("/ops/") else service
    return {
        method: {**operation, "tags": [tag]} if "operationId" in operation else operation
        for method, operation in item.items()
    }


def _tags(found: Mapping[str, Document]) -> Iterator[dict[str, str]]:
    for service, document in found.items():
        own = [tag for tag in document.get("tags", []) if not tag["name"].endswith("_ops")]
        yield {"name": service, "description": own[0].get("description", "") if own else ""}
    for service in found:
        yield {"name": f"{service}-operations", "description": f"Dead letters and stories of {service}"}
