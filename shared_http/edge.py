"""What one API process holds for all its requests."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import current_app
from sqlalchemy import Engine

from shared_http.claims import Claims
from shared_http.prefer import Waiters
from shared_http.settings import HttpSettings

if TYPE_CHECKING:
    from shared_http.auth import Verifier

_NAME = "orderflow"


@dataclass(frozen=True, slots=True)
class Edge:
    """The service's name and what its requests share."""

    service: str
    settings: HttpSettings
    engine: Engine
    verifier: "Verifier"
    claims: Claims
    waiters: Waiters


def current_edge() -> Edge:
    """Return the edge of the running application."""
    edge: Edge = current_app.extensions[_NAME]
    return edge


def attach(edge: Edge, extensions: dict[str, object]) -> None:
    """Make `edge` the one of an application."""
    extensions[_NAME] = edge
