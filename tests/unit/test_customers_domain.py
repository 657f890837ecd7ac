"""A customer changes one version at a time, and only when something changes."""

from datetime import UTC, datetime
from uuid import uuid4

from customers_svc.domain import Customer, Profile, changed_profile

NOW, LATER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def alice() -> Customer:
    return Customer(uuid4(), Profile("alice@example.com", "Alice"), created_at=NOW, updated_at=NOW)


def test_a_new_profile_is_a_new_version() -> None:
    customer = alice()

    assert customer.change(changed_profile(customer.profile, {"name": "Al"}), LATER)

    assert (customer.profile.name, customer.version, customer.updated_at) == ("Al", 2, LATER)


def test_the_same_profile_changes_nothing() -> None:
    customer = alice()

    assert not customer.change(Profile("alice@example.com", "Alice"), LATER)

    assert (customer.version, customer.updated_at, customer.changed) == (1, NOW, False)


def test_the_first_suspension_stands_until_it_is_lifted() -> None:
    customer = alice()

    assert customer.suspend("fraud", LATER)
    assert not customer.suspend("other", LATER)
    assert customer.suspension is not None
    assert (customer.suspension.reason, customer.version) == ("fraud", 2)

    assert customer.reinstate(LATER)
    assert not customer.reinstate(LATER)
    assert (customer.suspended, customer.version) == (False, 3)
