"""The development issuer: a key pair and a static JWKS file in the stack's data directory, not a process."""

import base64
import json
import os
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from orderflow_cli.errors import CommandError

ISSUER = "https://issuer.orderflow.local"
AUDIENCE = "orderflow"
_LIFE_S = 3600


def key_file(data: Path) -> Path:
    """Return where the private key is."""
    return data / "dev-key.pem"


def jwks_file(data: Path) -> Path:
    """Return where the public key is, as a JWKS document."""
    return data / "jwks.json"


def make(data: Path) -> None:
    """Make the key pair if there is none; write the JWKS file anew."""
    if not key_file(data).exists():
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        descriptor = os.open(key_file(data), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
    public = json.loads(ECAlgorithm.to_jwk(_read(data).public_key()))
    document = {"keys": [{**public, "kid": _kid(public), "alg": "ES256", "use": "sig"}]}
    jwks_file(data).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def sign(data: Path, *, subject: str, scopes: str) -> str:
    """Return an access token for a subject, good for an hour."""
    key = _read(data)
    kid = _kid(json.loads(ECAlgorithm.to_jwk(key.public_key())))
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": subject,
        "scope": scopes,
        "iat": now,
        "exp": now + _LIFE_S,
    }
    return jwt.encode(claims, key, algorithm="ES256", headers={"kid": kid, "typ": "at+jwt"})


def _read(data: Path) -> ec.EllipticCurvePrivateKey:
    try:
        pem = key_file(data).read_bytes()
    except OSError as error:
        raise CommandError(
            f"no development key in {data}: tokens are made where `./orderflow up` has run"
        ) from error
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CommandError(f"{key_file(data)} is not a key of the kind ES256")
    return key


def _kid(public: dict[str, str]) -> str:
    point = base64.urlsafe_b64decode(public["x"] + "=")
    return f"dev-{point[:6].hex()}"
