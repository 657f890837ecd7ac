"""`python -m orderflow_cli.site OUT`: the gateway's static pages.

A page of links, the API's documents merged, a reader for them, and a page for each kind of problem. All of it
is local: no page asks another host for anything.
"""

import json
import re
import shutil
import sys
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from orderflow_cli import openapi
from orderflow_cli.provision import DEPLOY
from orderflow_cli.seed import ADDRESS
from shared_http.problems import REGISTRY, Kind

PAGES = DEPLOY / "gateway" / "site"
_READER = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png", "LICENSE")
_COPIED = ("style.css", "origin.js", "docs/docs.css", "docs/docs.js")
# What the gateway answers by itself (deploy/gateway/Caddyfile), because no service can.
_OF_THE_GATEWAY = (
    Kind(
        "service-unavailable",
        503,
        "The service does not answer",
        "It is down or being restarted; orders already accepted are safe. Repeat the request, with the same "
        "Idempotency-Key, after `Retry-After` seconds.",
    ),
    Kind(
        "gateway-timeout",
        504,
        "The service did not answer in time",
        "It may still finish what was asked. Repeat the request with the same `Idempotency-Key`: you get the "
        "first answer, and nothing is done twice.",
    ),
)
_ORDER = {
    "lines": [{"sku": "LAMP", "quantity": 1}],
    "payment_method": "tok_visa",
    "shipping_address": ADDRESS,
}
_CODE = re.compile(r"`([^`]+)`")


def build(out: Path) -> None:
    """Write the whole site into a directory, which may exist."""
    merged = openapi.merged(openapi.documents())
    problems = sorted((*REGISTRY.values(), *_OF_THE_GATEWAY), key=lambda kind: (kind.status, kind.slug))
    for folder in ("docs", "problems"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    (out / "openapi.json").write_text(json.dumps(merged, indent=1) + "\n", encoding="utf-8")
    for name in _COPIED:
        shutil.copyfile(PAGES / name, out / name)
    _copy_reader(out / "docs")
    _write_pages(out, problems, version=merged["info"]["version"])


def _copy_reader(folder: Path) -> None:
    """Copy Swagger UI out of the package that carries it."""
    source = files("flask_swagger_ui") / "dist"
    for name in _READER:
        (folder / name).write_bytes((source / name).read_bytes())


def _write_pages(out: Path, problems: Iterable[Kind], version: str) -> None:
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    templates.filters["code"] = _with_code

    def write(path: str, template: str, **values: Any) -> None:
        text = templates.get_template(template).render(version=version, **values)
        (out / path).write_text(text + "\n", encoding="utf-8")

    write("index.html", "index.html", order=json.dumps(_ORDER, indent=2))
    write("docs/index.html", "docs/index.html")
    write("problems/index.html", "problems.html", problems=problems)
    for kind in problems:
        write(f"problems/{kind.slug}.html", "problem.html", problem=kind)


def _with_code(text: str) -> Markup:
    """Show what stands between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", escape(text)))  # noqa: S704 - escaped, then marked up


def main() -> int:
    """Build the site; status 2 without exactly one argument."""
    if len(sys.argv) != 2:
        print("usage: python -m orderflow_cli.site OUT", file=sys.stderr)
        return 2
    build(Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
