"""The contract of a payment provider, as tests that any provider must pass.

    class TestOurProvider(ProviderContract):
        @pytest.fixture
        def provider(self):
            return OurProvider()

The tokens below may be replaced by class attributes of the same names.
"""
# ruff: noqa: S101  (these are tests, kept with the port so that other teams can subclass them)

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from payments_svc.provider import Approved, KeepsRecords, Outcome, Provider, Refused


@dataclass
class Purchase:
    """One order's calls, each under a fresh key unless the test says which."""

    provider: Provider
    method: str
    amount: int = 1250
    currency: str = "EUR"
    order_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def key(self, operation: str) -> str:
        """Return the key of one of its calls."""
        return f"{self.order_id}:{operation}"

    def authorize(self, key: str | None = None, amount: int | None = None) -> Outcome:
        """Ask the provider to hold the amount."""
        amount = self.amount if amount is None else amount
        return self.provider.authorize(
            key or self.key("authorize"), amount, self.currency, self.method, self.order_id
        )

    def held(self) -> str:
        """Hold the amount; return the reference."""
        outcome = self.authorize()
        assert isinstance(outcome, Approved), outcome
        return outcome.reference

    def capture(self, reference: str, key: str | None = None) -> Outcome:
        """Ask the provider to take the amount."""
        return self.provider.capture(key or self.key("capture"), reference, self.amount, self.currency)

    def void(self, reference: str, key: str | None = None) -> Outcome:
        """Ask the provider to let the hold go."""
        return self.provider.void(key or self.key("void"), reference)

    def refund(self, reference: str, amount: int | None = None, key: str | None = None) -> Outcome:
        """Ask the provider to give the amount back."""
        amount = self.amount if amount is None else amount
        return self.provider.refund(key or self.key("refund"), reference, amount, self.currency)

    def money(self) -> tuple[int, int, int] | None:
        """Return (held, captured, refunded) over all of the order, if the provider lets its books be read."""
        if not isinstance(self.provider, KeepsRecords):
            return None
        records = self.provider.records(order_id=self.order_id)
        return (
            sum(each.held for each in records),
            sum(each.captured for each in records),
            sum(each.refunded for each in records),
        )

    def shows(self, *, held: int = 0, captured: int = 0, refunded: int = 0) -> bool:
        """Tell whether the books agree, as far as they can be read."""
        return self.money() in (None, (held, captured, refunded))


class ProviderContract:
    """What Payments relies on. Subclass it and give a `provider` fixture."""

    approved_method = "tok_visa"
    declined_method = "tok_declined"

    @pytest.fixture
    def purchase(self, provider: Provider) -> Purchase:
        """Return a fresh order to be paid with a method that works."""
        return Purchase(provider, self.approved_method)

    def test_an_authorisation_holds_the_money(self, purchase: Purchase) -> None:
        """Held, not taken."""
        assert isinstance(purchase.authorize(), Approved)
        assert purchase.shows(held=purchase.amount)

    def test_a_repeat_under_the_same_key_returns_the_first_outcome(self, purchase: Purchase) -> None:
        """One key, one authorisation, however often it is asked for."""
        first = purchase.authorize()

        assert [purchase.authorize() for _ in range(3)] == [first] * 3
        assert purchase.shows(held=purchase.amount)

    def test_calls_side_by_side_each_get_their_own_answer(self, provider: Provider) -> None:
        """Many threads, one instance: a client that is not made for that would mix up the answers."""
        purchases = [Purchase(provider, self.approved_method, amount=100 + place) for place in range(16)]

        with ThreadPoolExecutor(len(purchases)) as threads:
            outcomes = list(threads.map(Purchase.authorize, purchases))

        assert [purchase.authorize() for purchase in purchases] == outcomes
        assert len({outcome.reference for outcome in outcomes if isinstance(outcome, Approved)}) == 16
        assert all(purchase.shows(held=purchase.amount) for purchase in purchases)

    def test_a_declined_method_is_refused_with_a_code_and_holds_nothing(self, provider: Provider) -> None:
        """A refusal is an answer, not an error; it stays under its key."""
        purchase = Purchase(provider, self.declined_method)

        refusal = purchase.authorize()

        assert isinstance(refusal, Refused)
        assert refusal.code
        assert purchase.authorize() == refusal
        assert purchase.shows()

    def test_the_same_key_with_another_amount_is_refused(self, purchase: Purchase) -> None:
        """A key belongs to one call; what it did first stands."""
        first = purchase.authorize()

        assert isinstance(purchase.authorize(amount=purchase.amount + 1), Refused)
        assert purchase.authorize() == first
        assert purchase.shows(held=purchase.amount)

    def test_lookup_of_an_unknown_key_is_none(self, provider: Provider) -> None:
        """None says "not seen so far", which proves nothing."""
        assert provider.lookup(str(uuid.uuid4())) is None

    def test_lookup_returns_the_outcome_of_every_operation(self, purchase: Purchase) -> None:
        """A lost answer can always be asked for."""
        authorized = purchase.authorize()
        assert isinstance(authorized, Approved)
        captured = purchase.capture(authorized.reference)
        refunded = purchase.refund(authorized.reference)

        look = purchase.provider.lookup
        found = [look(purchase.key(operation)) for operation in ("authorize", "capture", "refund")]
        assert found == [authorized, captured, refunded]

    def test_a_refusal_can_be_looked_up(self, provider: Provider) -> None:
        """So a lost "no" is not taken for silence."""
        purchase = Purchase(provider, self.declined_method)
        refusal = purchase.authorize()

        assert provider.lookup(purchase.key("authorize")) == refusal

    def test_a_capture_takes_what_was_held_once(self, purchase: Purchase) -> None:
        """A repeat under the key takes nothing more, another key is refused."""
        reference = purchase.held()

        first = purchase.capture(reference)

        assert isinstance(first, Approved)
        assert purchase.capture(reference) == first
        assert isinstance(purchase.capture(reference, key=purchase.key("again")), Refused)
        assert purchase.shows(captured=purchase.amount)

    def test_a_void_lets_the_hold_go_and_may_be_repeated(self, purchase: Purchase) -> None:
        """Under the same key or another: what is void is void."""
        reference = purchase.held()

        first = purchase.void(reference)

        assert isinstance(first, Approved)
        assert purchase.void(reference) == first
        assert isinstance(purchase.void(reference, key=purchase.key("again")), Approved)
        assert purchase.shows()

    def test_a_capture_after_a_void_is_refused(self, purchase: Purchase) -> None:
        """Nothing is taken that was let go."""
        reference = purchase.held()
        purchase.void(reference)

        assert isinstance(purchase.capture(reference), Refused)
        assert purchase.shows()

    def test_a_void_after_a_capture_is_refused(self, purchase: Purchase) -> None:
        """Taken money goes back by a refund, which says so in the books."""
        reference = purchase.held()
        purchase.capture(reference)

        assert isinstance(purchase.void(reference), Refused)
        assert purchase.shows(captured=purchase.amount)

    def test_a_refund_gives_back_once_under_its_key(self, purchase: Purchase) -> None:
        """A repeat gives nothing more."""
        reference = purchase.held()
        purchase.capture(reference)

        first = purchase.refund(reference)

        assert isinstance(first, Approved)
        assert purchase.refund(reference) == first
        assert purchase.shows(captured=purchase.amount, refunded=purchase.amount)

    def test_a_refund_above_the_captured_rest_is_refused(self, purchase: Purchase) -> None:
        """Neither too much at once nor too much in sum."""
        reference = purchase.held()
        purchase.capture(reference)

        assert isinstance(purchase.refund(reference, purchase.amount + 1, purchase.key("much")), Refused)
        assert isinstance(purchase.refund(reference), Approved)
        assert isinstance(purchase.refund(reference, key=purchase.key("again")), Refused)
        assert purchase.shows(captured=purchase.amount, refunded=purchase.amount)

    def test_a_refund_before_the_capture_is_refused(self, purchase: Purchase) -> None:
        """There is nothing to give back yet."""
        reference = purchase.held()

        assert isinstance(purchase.refund(reference), Refused)
        assert purchase.shows(held=purchase.amount)

    def test_a_call_repeated_under_its_key_after_a_void_returns_the_first_outcome_and_holds_no_money(
        self, purchase: Purchase
    ) -> None:
        """The resolver of a lost answer repeats the call, maybe long after its undo: it must do no harm."""
        first = purchase.authorize()
        assert isinstance(first, Approved)
        purchase.void(first.reference)

        assert purchase.authorize() == first
        assert purchase.provider.lookup(purchase.key("authorize")) == first
        assert isinstance(purchase.capture(first.reference), Refused)
        assert purchase.shows()

    def test_an_unknown_reference_is_refused(self, purchase: Purchase) -> None:
        """Asking about what is not there is a refusal, never an error that would be repeated for ever."""
        unknown = f"unknown-{uuid.uuid4()}"

        assert isinstance(purchase.capture(unknown), Refused)
        assert isinstance(purchase.void(unknown), Refused)
        assert isinstance(purchase.refund(unknown), Refused)
