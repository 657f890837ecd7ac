"""The port to a payment provider: what Payments asks of it, and what it may answer.

Whoever brings a provider of their own writes one class with these methods, lets it pass
`payments_svc.provider_contract.ProviderContract`, and names it in `ORDERFLOW_PAYMENT_PROVIDER`.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Approved:
    """The provider did it. `reference` is the provider's own name for the money held, taken or given back."""

    reference: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider said no: nothing was done, and nothing will be under this key."""

    code: str
    detail: str = ""


Outcome = Approved | Refused


class ProviderUnavailable(Exception):
    """The call was never sent, or was turned away before anything was decided (refused connection, 5xx)."""


class ProviderTimeout(Exception):
    """The call was sent and no answer came: it may have happened."""


class Provider(Protocol):
    """A payment provider.

    Every call carries an idempotency key: a repeat under the same key has no further effect and returns the
    first outcome, whatever has happened since. The same key with other arguments is refused. Every call
    returns within a few seconds or raises ProviderUnavailable or ProviderTimeout. Amounts are minor units.
    One instance is called from many threads at once.
    """

    def authorize(self, key: str, amount: int, currency: str, method: str, order_id: str) -> Outcome:
        """Hold `amount` on the payment method that the token `method` stands for."""
        ...

    def capture(self, key: str, reference: str, amount: int, currency: str) -> Outcome:
        """Take the money held under `reference`; refused once that hold is void."""
        ...

    def void(self, key: str, reference: str) -> Outcome:
        """Let the hold go. Approved if it already is; refused once the money was captured."""
        ...

    def refund(self, key: str, reference: str, amount: int, currency: str) -> Outcome:
        """Give captured money back; refused above what was captured and not yet refunded."""
        ...

    def lookup(self, key: str) -> Outcome | None:
        """Return what came of the call with this key; None if the provider has not seen it (so far)."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderRecord:
    """One authorisation in the provider's own books, with what became of its money.

    `position` only grows; a reader continues after the last one that it saw.
    """

    position: int
    order_id: str
    reference: str
    currency: str
    authorized: int
    held: int
    captured: int
    refunded: int
    keys: tuple[str, ...]


@runtime_checkable
class KeepsRecords(Protocol):
    """Optional: a provider whose books can be read, so that `check` can compare them with ours."""

    def records(
        self, *, order_id: str | None = None, after: int = 0, limit: int = 500
    ) -> Sequence[ProviderRecord]:
        """Return authorisations with a position above `after`, oldest first."""
        ...


def load(path: str) -> Provider:
    """Return an instance of the provider class named as `package.module:Class`.

    Raises ValueError, with one sentence that says what is wrong, if there is no such class.
    """
    module_name, _, class_name = path.partition(":")
    try:
        provider_class = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"there is no provider class {path!r}: {error}") from error
    provider: Provider = provider_class()
    return provider
