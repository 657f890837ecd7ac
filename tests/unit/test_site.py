"""The static pages: complete, valid, and asking nobody else for anything."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from orderflow_cli import openapi, site
from orderflow_cli.names import SERVICES
from orderflow_cli.provision import DEPLOY
from shared_http.problems import REGISTRY

METHODS = {"get", "put", "post", "patch", "delete"}
OUTSIDE = re.compile(r"""(?:src|href|url)\s*[=(:]\s*["']?(?:https?:)?//""")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    site.build(out)
    return out


@pytest.fixture(scope="module")
def document(pages: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((pages / "openapi.json").read_text(encoding="utf-8"))
    return found


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [item[method] for item in document["paths"].values() for method in METHODS & item.keys()]


def test_the_merged_document_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)

    assert document["openapi"] == "3.1.0"
    assert "bearer" in document["components"]["securitySchemes"]


def test_every_operation_has_an_id_of_its_own(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(document)]

    assert len(ids) == len(set(ids))


def test_every_operation_is_tagged_with_its_service(document: dict[str, Any]) -> None:
    tags = {tag for operation in operations(document) for tag in operation["tags"]}

    assert tags == {*SERVICES, *(f"{service}-operations" for service in SERVICES)}
    assert tags == {tag["name"] for tag in document["tags"]}


def test_only_public_routes_are_documented(document: dict[str, Any]) -> None:
    assert {path.split("/")[1] for path in document["paths"]} == {"v1", "ops"}


def test_no_route_of_a_service_is_left_out(document: dict[str, Any]) -> None:
    for service, own in openapi.documents().items():
        missing = own["paths"].keys() - document["paths"].keys()
        assert not missing, service


def test_two_shapes_of_one_name_are_kept_apart() -> None:
    def service(kind: str) -> dict[str, Any]:
        reference = {"$ref": "#/components/schemas/Thing"}
        return {
            "paths": {f"/v1/{kind}": {"get": {"operationId": kind, "schema": reference}}},
            "components": {"schemas": {"Thing": {"type": kind}}},
        }

    merged = openapi.merged({"orders": service("string"), "payments": service("integer")})

    assert merged["components"]["schemas"] == {
        "Thing": {"type": "string"},
        "PaymentsThing": {"type": "integer"},
    }
    assert merged["paths"]["/v1/integer"]["get"]["schema"] == {"$ref": "#/components/schemas/PaymentsThing"}


def test_every_kind_of_problem_has_a_page_that_is_linked(pages: Path) -> None:
    overview = (pages / "problems" / "index.html").read_text(encoding="utf-8")

    for slug, kind in REGISTRY.items():
        page = (pages / "problems" / f"{slug}.html").read_text(encoding="utf-8")
        assert kind.slug in page
        assert f'"/problems/{slug}"' in overview


def test_what_the_gateway_itself_answers_has_a_page_too(pages: Path) -> None:
    slugs = re.findall(r"/problems/([a-z-]+)", (DEPLOY / "gateway" / "Caddyfile").read_text(encoding="utf-8"))

    assert slugs
    assert [slug for slug in slugs if not (pages / "problems" / f"{slug}.html").is_file()] == []


def test_no_page_asks_another_host_for_anything(pages: Path) -> None:
    ours = [*pages.rglob("*.html"), pages / "style.css", pages / "origin.js", pages / "docs" / "docs.js"]

    for page in ours:
        assert not OUTSIDE.search(page.read_text(encoding="utf-8")), page
    for page in pages.rglob("*.html"):
        assert "default-src 'none'" in page.read_text(encoding="utf-8"), page


def test_every_local_link_leads_somewhere(pages: Path) -> None:
    elsewhere = {"/flower/", "/health", "/.well-known/jwks.json"}  # the gateway's own, or of the deployment

    for page in pages.rglob("*.html"):
        for link in re.findall(r'(?:href|src)="(/[^"]*)"', page.read_text(encoding="utf-8")):
            target = pages / link.strip("/")
            found = target.is_file() or (target / "index.html").is_file() or Path(f"{target}.html").is_file()
            assert found or link in elsewhere, f"{page}: {link}"
