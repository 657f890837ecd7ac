"""Bearer tokens: verified by the issuer's public keys, remembered while they are valid."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable

import jwt
from flask import g, request

from shared_http import problems
from shared_http.edge import current_edge
from shared_http.identity import Identity, identity_of
from shared_http.keys import Keys, KeysUnreachable, keys_at
from shared_http.problems import Problem
from shared_http.settings import HttpSettings

_REMEMBERED = 10_000
_REMEMBERED_FOR_S = 300.0
_ALGORITHMS = ["RS256", "ES256"]

UNAUTHENTICATED = problems.register(
    "unauthenticated",
    401,
    "A valid access token is needed",
    "Send `Authorization: Bearer <token>`, signed by the configured issuer and not expired.",
)
MISSING_SCOPE = problems.register(
    "missing-scope",
    403,
    "The token does not allow this",
    "The token lacks the scope that this route asks for.",
)
IDENTITY_UNAVAILABLE = problems.register(
    "identity-unavailable",
    503,
    "The identity provider cannot be reached",
    "The key that signed the token is not known here yet and cannot be fetched now. Repeat it later.",
)


class Verifier:
    """Turns a token into an identity; checks signature, issuer, audience and expiry."""

    def __init__(self, settings: HttpSettings, keys: Keys | None = None) -> None:
        self._settings = settings
        self._keys = keys or keys_at(settings.jwks_url)
        self._lock = threading.Lock()
        self._remembered: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()

    def identity(self, token: str) -> Identity:
        """Return who the token speaks for. Raises Problem."""
        digest = hashlib.sha256(token.encode()).digest()
        known = self._remembered.get(digest)
        now = time.time()
        if known is not None and now < known[0]:
            return known[1]
        expires_at, found = self._verify(token)
        with self._lock:
            self._remembered[digest] = (min(expires_at, now + _REMEMBERED_FOR_S), found)
            self._remembered.move_to_end(digest)
            while len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return found

    def _verify(self, token: str) -> tuple[float, Identity]:
        its = self._settings
        try:
            key = self._keys.find(str(jwt.get_unverified_header(token).get("kid", "")))
            if key is None:
                raise _invalid("The token is signed by an unknown key")
            claims = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                issuer=its.jwt_issuer,
                audience=its.jwt_audience,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
            found = identity_of(claims, issuer=its.jwt_issuer, customer_claim=its.jwt_customer_claim)
        except KeysUnreachable as error:
            raise Problem(IDENTITY_UNAVAILABLE, headers={"Retry-After": "5"}) from error
        except (jwt.PyJWTError, ValueError) as error:
            raise _invalid(f"The token is not valid: {error}") from error
        return float(claims["exp"]), found


def unauthenticated() -> Problem:
    """Return the refusal of a request without a token."""
    return Problem(UNAUTHENTICATED, headers={"WWW-Authenticate": "Bearer"})


def insufficient_scope(needed: Iterable[str]) -> Problem:
    """Return the refusal of a token that has none of the needed scopes."""
    names = sorted(needed)
    challenge = f'Bearer error="insufficient_scope", scope="{" ".join(names)}"'
    detail = f"This route asks for the scope {' or '.join(names)}"
    return Problem(MISSING_SCOPE, detail, headers={"WWW-Authenticate": challenge})


def _invalid(detail: str) -> Problem:
    return Problem(UNAUTHENTICATED, detail, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def optional_identity() -> Identity | None:
    """Return who asks, or None without an `Authorization` header. Raises Problem for a bad one."""
    header = request.headers.get("Authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _invalid("The Authorization header does not carry a bearer token")
    return current_edge().verifier.identity(token.strip())


def authenticate(scopes: frozenset[str]) -> Identity:
    """Return who asks if their token has one of `scopes`. Raises Problem."""
    identity = optional_identity()
    if identity is None:
        raise unauthenticated()
    if not scopes & identity.scopes:
        raise insufficient_scope(scopes)
    return identity


def current_identity() -> Identity:
    """Return who asks, on a route that is not open."""
    identity: Identity = g.identity
    return identity
