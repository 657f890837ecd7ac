"""An own provider in its smallest form: everything in memory, every promise of the port kept."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from payments_svc.provider import Approved, Outcome, Refused


@dataclass
class _Charge:
    held: int
    captured: int = 0
    refunded: int = 0


class OwnProvider:
    """Declines `tok_declined` and approves every other method."""

    def __init__(self) -> None:
        self._charges: dict[str, _Charge] = {}
        self._calls: dict[str, tuple[tuple[Any, ...], Outcome]] = {}

    def authorize(self, key: str, amount: int, currency: str, method: str, order_id: str) -> Outcome:
        def effect() -> Outcome:
            if method == "tok_declined":
                return Refused("declined")
            reference = str(uuid4())
            self._charges[reference] = _Charge(amount)
            return Approved(reference)

        return self._once(key, (amount, currency, method, order_id), effect)

    def capture(self, key: str, reference: str, amount: int, currency: str) -> Outcome:
        def effect(charge: _Charge) -> bool:
            if charge.held < amount:
                return False
            charge.held, charge.captured = 0, amount
            return True

        return self._on_charge(key, reference, (amount, currency), effect)

    def void(self, key: str, reference: str) -> Outcome:
        def effect(charge: _Charge) -> bool:
            charge.held = 0
            return not charge.captured

        return self._on_charge(key, reference, (), effect)

    def refund(self, key: str, reference: str, amount: int, currency: str) -> Outcome:
        def effect(charge: _Charge) -> bool:
            if charge.captured - charge.refunded < amount:
                return False
            charge.refunded += amount
            return True

        return self._on_charge(key, reference, (amount, currency), effect)

    def lookup(self, key: str) -> Outcome | None:
        return self._calls[key][1] if key in self._calls else None

    def _on_charge(
        self, key: str, reference: str, rest: tuple[Any, ...], effect: Callable[[_Charge], bool]
    ) -> Outcome:
        def on_its_charge() -> Outcome:
            charge = self._charges.get(reference)
            return Approved(reference) if charge and effect(charge) else Refused("not_possible")

        return self._once(key, (reference, *rest), on_its_charge)

    def _once(self, key: str, arguments: tuple[Any, ...], effect: Callable[[], Outcome]) -> Outcome:
        if key not in self._calls:
            self._calls[key] = (arguments, effect())
        first_arguments, outcome = self._calls[key]
        return outcome if first_arguments == arguments else Refused("key_reused")


class ForgetfulProvider(OwnProvider):
    """Breaks the contract: it takes a repeated authorisation for a new one."""

    def authorize(self, key: str, amount: int, currency: str, method: str, order_id: str) -> Outcome:
        self._calls.pop(key, None)
        return super().authorize(key, amount, currency, method, order_id)
