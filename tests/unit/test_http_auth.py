"""A token is believed if a known key signed it for us, and for no longer than it says."""

import json
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from issuer import AUDIENCE, ISSUER, Issuer

from shared_events.settings import Servers
from shared_http import auth
from shared_http.auth import Verifier
from shared_http.identity import Identity, customer_id_of
from shared_http.keys import WAIT_S, FileKeys, KeysUnreachable, RemoteKeys, keys_at
from shared_http.problems import Problem
from shared_http.settings import HttpSettings


def settings(claim: str = "sub") -> HttpSettings:
    return HttpSettings(Servers("", "", ""), ISSUER, AUDIENCE, "file:///nowhere", claim)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def verifier(issuer: Issuer) -> Verifier:
    return Verifier(settings(), issuer)


def test_a_uuid_is_the_customer_and_anything_else_is_derived_from_it() -> None:
    customer = uuid4()

    assert customer_id_of(ISSUER, str(customer)) == customer
    assert customer_id_of(ISSUER, str(customer).upper()) == customer
    assert customer_id_of("https://a", "alice") == customer_id_of("https://a", "alice")
    assert customer_id_of("https://a", "alice") != customer_id_of("https://b", "alice")
    assert customer_id_of("https://a", "alice").version == 5


def test_a_good_token_says_who_asks(issuer: Issuer, verifier: Verifier) -> None:
    found = verifier.identity(issuer.token("alice@example.com", "customer ops"))

    assert found.subject == "alice@example.com"
    assert found.customer_id == customer_id_of(ISSUER, "alice@example.com")
    assert found.scopes == {"customer", "ops"}


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": None},
        {"iss": "https://other"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"sub": None},
        {"nbf": 9_999_999_999},
    ],
)
def test_a_token_for_somebody_else_is_refused(issuer: Issuer, verifier: Verifier, claims: Any) -> None:
    with pytest.raises(Problem) as refused:
        verifier.identity(issuer.token(**claims))

    assert refused.value.kind is auth.UNAUTHENTICATED
    assert refused.value.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "....", "eyJhbGciOiJub25lIn0.e30."])
def test_what_is_no_token_is_refused(verifier: Verifier, token: str) -> None:
    with pytest.raises(Problem) as refused:
        verifier.identity(token)

    assert refused.value.kind is auth.UNAUTHENTICATED


def test_another_key_or_another_algorithm_is_refused(issuer: Issuer, verifier: Verifier) -> None:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "exp": time.time() + 60}
    by_stranger = Issuer().token()
    by_secret = jwt.encode(claims, "s" * 32, "HS256", headers={"kid": issuer.kid})
    by_unknown = Issuer("unknown").token()

    for token in (by_stranger, by_secret, by_unknown):
        with pytest.raises(Problem) as refused:
            verifier.identity(token)
        assert refused.value.kind is auth.UNAUTHENTICATED


def test_a_remembered_token_still_expires(issuer: Issuer, verifier: Verifier) -> None:
    token = issuer.token(exp=time.time() + 1.2)
    assert verifier.identity(token)

    time.sleep(2.3)

    with pytest.raises(Problem):
        verifier.identity(token)


def test_the_customer_may_be_another_claim(issuer: Issuer) -> None:
    verifier = Verifier(settings("email"), issuer)

    assert verifier.identity(issuer.token("42", email="a@example.com")).customer_id == customer_id_of(
        ISSUER, "a@example.com"
    )
    assert verifier.identity(issuer.token("42", "staff")).is_staff
    with pytest.raises(Problem):
        verifier.identity(issuer.token("42", "customer"))


def test_a_customer_sees_their_own_and_staff_sees_all() -> None:
    mine, other = uuid4(), uuid4()

    assert Identity("a", mine, frozenset({"customer"})).may_see(mine)
    assert not Identity("a", mine, frozenset({"customer"})).may_see(other)
    assert Identity("a", mine, frozenset({"staff"})).may_see(other)
    assert not Identity("a", mine, frozenset({"ops"})).may_see(mine)


def test_a_key_file_is_read_again_for_an_unknown_key(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    old, new = Issuer("old"), Issuer("new")
    path.write_text(json.dumps({"keys": [old.public_key()]}))
    keys = keys_at(path.as_uri())
    assert isinstance(keys, FileKeys)
    assert keys.find("old")
    assert keys.find("new") is None

    path.write_text(json.dumps({"keys": [old.public_key(), new.public_key()]}))

    assert keys.find("new")


def test_without_the_key_file_the_provider_is_unreachable_not_the_token_wrong(tmp_path: Path) -> None:
    verifier = Verifier(settings(), FileKeys(tmp_path / "missing.json"))

    with pytest.raises(Problem) as refused:
        verifier.identity(Issuer().token())

    assert refused.value.kind is auth.IDENTITY_UNAVAILABLE
    assert "Retry-After" in refused.value.headers


def test_fetched_keys_outlive_an_outage_and_an_outage_costs_little(issuer: Issuer) -> None:
    server, url = _jwks_server([issuer])
    keys = RemoteKeys(url)
    assert keys.find(issuer.kid)
    server.shutdown()
    server.server_close()

    assert keys.find(issuer.kid)
    fresh = RemoteKeys(url)
    with pytest.raises(KeysUnreachable):
        fresh.find(issuer.kid)
    started = time.monotonic()
    with pytest.raises(KeysUnreachable):
        fresh.find(issuer.kid)
    assert time.monotonic() - started < 0.1


def _dripping() -> socket.socket:
    """Return a server that begins an answer and goes on with it a byte now and then."""
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        with suppress(OSError):  # until either end goes away
            connection, _ = listener.accept()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
            while True:
                time.sleep(0.5)
                connection.sendall(b" ")

    threading.Thread(target=drip, daemon=True).start()
    return listener


def test_known_keys_outlive_an_outage_of_more_than_an_hour(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, url = _jwks_server([issuer])
    keys = RemoteKeys(url)
    assert keys.find(issuer.kid)
    server.shutdown()
    server.server_close()

    monkeypatch.setattr("shared_http.keys._KNOWN_FOR_S", 0.0)
    monkeypatch.setattr("shared_http.keys._UNKNOWN_FOR_S", 0.0)

    assert [keys.find(issuer.kid) is not None for _ in range(3)] == [True] * 3
    with pytest.raises(KeysUnreachable):
        keys.find("unknown")


def test_a_key_that_is_withdrawn_is_known_for_an_hour_and_no_longer(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = [issuer]
    server, url = _jwks_server(published)
    keys = RemoteKeys(url)
    assert keys.find(issuer.kid)
    published[:] = [Issuer("another")]
    within_the_hour = keys.find(issuer.kid)

    monkeypatch.setattr("shared_http.keys._KNOWN_FOR_S", 0.0)
    after_it = keys.find(issuer.kid)
    server.shutdown()
    server.server_close()

    assert within_the_hour
    assert after_it is None


@pytest.mark.parametrize("body", [b"no JSON", b"[]", b"{}", b'{"keys": [1]}'])
def test_an_answer_without_keys_is_none_and_costs_no_known_key(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    answers: list[Issuer | bytes] = [issuer]
    server, url = _jwks_server(answers)
    keys = RemoteKeys(url)
    assert keys.find(issuer.kid)
    answers[:] = [body]
    monkeypatch.setattr("shared_http.keys._KNOWN_FOR_S", 0.0)

    known = keys.find(issuer.kid)
    with pytest.raises(KeysUnreachable):
        RemoteKeys(url).find(issuer.kid)
    server.shutdown()
    server.server_close()

    assert known


def test_a_fetch_that_never_comes_to_an_end_is_given_up(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared_http.keys._QUIET_AFTER_FAILURE_S", 0.0)
    server, url = _jwks_server([issuer])
    with _dripping() as drips:
        keys = RemoteKeys(f"http://127.0.0.1:{drips.getsockname()[1]}/jwks.json")
        monkeypatch.setattr("shared_http.keys.WAIT_S", 0.3)
        with pytest.raises(KeysUnreachable):
            keys.find(issuer.kid)
        keys._client.uri = url  # from now on it would answer
        with pytest.raises(KeysUnreachable):
            keys.find(issuer.kid)

        monkeypatch.setattr("shared_http.keys._GIVEN_UP_AFTER_S", 0.1)
        monkeypatch.setattr("shared_http.keys.WAIT_S", 10)
        found = keys.find(issuer.kid)
    server.shutdown()
    server.server_close()

    assert found


@pytest.mark.parametrize("make", [lambda: socket.create_server(("127.0.0.1", 0)), _dripping])
def test_requests_wait_together_for_an_issuer_that_does_not_come_to_an_end(make: Any) -> None:
    with make() as server, ThreadPoolExecutor(8) as threads:
        keys = RemoteKeys(f"http://127.0.0.1:{server.getsockname()[1]}/jwks.json")

        def find(kid: str) -> float:
            began = time.monotonic()
            with pytest.raises(KeysUnreachable):
                keys.find(kid)
            return time.monotonic() - began

        waited = list(threads.map(find, ["one", "one", "two", "two"] * 2))

    assert max(waited) < 2 * WAIT_S  # one after the other they would wait eight times as long


def test_a_key_that_is_asked_for_while_another_is_fetched_is_found(issuer: Issuer) -> None:
    server, url = _jwks_server([issuer])
    keys = RemoteKeys(url)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(keys.find, ["unknown", issuer.kid] * 4))
    server.shutdown()
    server.server_close()

    assert [each is not None for each in found] == [False, True] * 4


def _jwks_server(published: Sequence[Issuer | bytes]) -> tuple[HTTPServer, str]:
    """Return a server of these issuers' keys as they are at each request; of bytes it says just these."""

    class Jwks(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            as_they_are = [each for each in published if isinstance(each, bytes)]
            found = [each.public_key() for each in published if isinstance(each, Issuer)]
            body = b"".join(as_they_are) or json.dumps({"keys": found}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Jwks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert isinstance(server.socket, socket.socket)
    return server, f"http://127.0.0.1:{server.server_address[1]}/jwks.json"
