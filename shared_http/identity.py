"""Who asks: what a verified token says about its bearer. Pure; used by the command line and the tests too."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

CUSTOMER, STAFF, OPS = "customer", "staff", "ops"


def customer_id_of(issuer: str, claim: str) -> UUID:
    """Return the customer that an issuer calls `claim`: a UUID as it is, anything else as a UUIDv5.

    Every service computes the same id, so no service has to ask another.
    """
    if _UUID.fullmatch(claim):
        return UUID(claim)
    return uuid5(uuid5(NAMESPACE_URL, issuer), claim)


@dataclass(frozen=True, slots=True)
class Identity:
    """The bearer of a token: subject, customer and scopes."""

    subject: str
    customer_id: UUID
    scopes: frozenset[str]

    @property
    def is_staff(self) -> bool:
        """Whether the bearer acts for the shop."""
        return STAFF in self.scopes

    def may_see(self, customer_id: UUID) -> bool:
        """Whether the bearer may see what belongs to this customer. If not, answer 404, not 403."""
        return self.is_staff or (CUSTOMER in self.scopes and customer_id == self.customer_id)


def identity_of(claims: Mapping[str, Any], *, issuer: str, customer_claim: str) -> Identity:
    """Read an identity out of verified claims. Raises ValueError if the customer's claim is missing."""
    scope = claims.get("scope", "")
    scopes = frozenset(scope.split() if isinstance(scope, str) else map(str, scope))
    subject = str(claims["sub"])
    claim = claims.get(customer_claim)
    if not claim and CUSTOMER in scopes:
        raise ValueError(f"the claim {customer_claim} is missing")
    return Identity(subject, customer_id_of(issuer, str(claim or subject)), scopes)
