"""An issuer of access tokens for tests: a key pair, and tokens signed with it."""

import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm

ISSUER, AUDIENCE = "https://issuer.test", "orderflow"


class Issuer:
    """Signs tokens; stands in for the keys that a service would fetch."""

    def __init__(self, kid: str = "test") -> None:
        self.kid = kid
        self._key = ec.generate_private_key(ec.SECP256R1())

    def public_key(self) -> dict[str, Any]:
        """Return the public half as a JWK."""
        key = ECAlgorithm(ECAlgorithm.SHA256).to_jwk(self._key.public_key(), as_dict=True)
        return {**key, "kid": self.kid, "alg": "ES256", "use": "sig"}

    def find(self, kid: str) -> PyJWK | None:
        """Return the public key, as a service's keys would."""
        return PyJWK(self.public_key()) if kid == self.kid else None

    def token(self, subject: str = "alice@example.com", scope: str = "customer", **claims: Any) -> str:
        """Return a token; a claim given as None is left out."""
        said = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "scope": scope,
            "exp": time.time() + 60,
            **claims,
        }
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, self._key, "ES256", headers={"kid": self.kid})

    def headers(self, subject: str = "alice@example.com", scope: str = "customer") -> dict[str, str]:
        """Return the header that carries a token."""
        return {"Authorization": f"Bearer {self.token(subject, scope)}"}
