"""Flask without what no API of ours needs, on the way that every request takes."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.datastructures import Headers


class Answer(Response):
    """An answer that is whole when it is given, and whose headers stand as they are to be sent."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> "Headers":
        """Return the headers as they are: the length is among them, and a `Location` of ours is a plain path."""
        return super().get_wsgi_headers(environ) if self.status_code in {204, 304} else self.headers

    def get_app_iter(self, environ: "WSGIEnvironment") -> Iterable[bytes]:
        """Return the body as a list: granian sends that at once, and takes anything else piece by piece."""
        try:
            return list(super().get_app_iter(environ))
        finally:
            self.close()


class LeanFlask(Flask):
    """Flask with no asynchronous view, whose answers are whole."""

    response_class = Answer

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is. Flask would ask of each, on each request, whether it is a coroutine."""
        return func
