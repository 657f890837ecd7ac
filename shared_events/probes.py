"""`/health/live`, `/health/ready` and `/metrics` of a process that is no API: workers and relays.

Served by a daemon thread on ORDERFLOW_PROBE_ADDRESS (host:port), if it is set.
"""

import json
import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import make_wsgi_app

from shared_events import environment
from shared_events.vitals import Vitals


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Log no probe."""


def serve(vitals: Vitals) -> None:
    """Serve the probes of this process in the background. Raises BadSetting for an unusable address."""
    address = environment.text("ORDERFLOW_PROBE_ADDRESS", "")
    if not address:
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise environment.BadSetting(f"ORDERFLOW_PROBE_ADDRESS must be host:port, not {address!r}")
    metrics = make_wsgi_app()

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return list(metrics(environ, start))
        good = {"/health/live": vitals.live, "/health/ready": vitals.ready and vitals.live}.get(path)
        if good is None:
            start("404 Not Found", [("Content-Type", "application/json")])
            return [b'{"status": "not found"}']
        start(
            "200 OK" if good else "503 Service Unavailable",
            [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
        )
        return [json.dumps({"status": "ok" if good else "unavailable"}).encode()]

    try:
        server = make_server(host, int(port), answer, server_class=_Server, handler_class=_Quiet)
    except OSError as error:
        raise environment.BadSetting(f"ORDERFLOW_PROBE_ADDRESS {address} cannot be used: {error}") from error
    threading.Thread(target=server.serve_forever, name="probes", daemon=True).start()
