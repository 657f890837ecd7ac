"""Every order in which commands, calls, losses and late answers can come: what was promised holds in all."""

import pytest
from payment_world import AMOUNT, ProviderModel, World

PAID = AMOUNT.amount
FEW = {"authorize": 1, "capture": 1, "void": 1, "refund": 1, "lapse": 1, "loss": 1}


def worlds(budget, says_no_to=()):
    """Return every world that can be reached."""
    start = World(dict(budget), ProviderModel(says_no_to=frozenset(says_no_to)))
    seen, waiting = {start.key()}, [start]
    while waiting:
        world = waiting.pop()
        yield world
        for step in world.steps():
            after = world.after(step)
            if after.key() not in seen:
                assert len(seen) < 100_000, "the world grows without end"
                seen.add(after.key())
                waiting.append(after)


@pytest.mark.parametrize(
    ("budget", "says_no_to"),
    [
        (FEW, ()),
        (FEW | {"authorize": 2, "capture": 2, "void": 2, "refund": 0, "loss": 0}, ()),
        (FEW | {"loss": 2, "refund": 0}, ()),
        (FEW | {"authorize": 2, "void": 2}, ("authorize",)),
        (FEW | {"capture": 2}, ("capture",)),
        (FEW, ("void", "refund")),
    ],
    ids=["all-goes", "commands-twice", "two-losses", "declined", "capture-refused", "undo-refused-once"],
)
def test_what_was_promised_holds_whatever_the_order(budget, says_no_to):
    for world in worlds(budget, says_no_to):
        _nothing_happened_twice(world)
        _every_answer_is_true(world)
        if world.is_quiet and world.payment:
            _nothing_was_forgotten(world)


def _nothing_happened_twice(world):
    assert world.provider.charges <= 1
    assert world.provider.captured <= PAID
    assert world.provider.refunded <= world.provider.captured
    assert sum(type(each).__name__ == "AuthorizationInDoubt" for each in world.said) <= 1


def _every_answer_is_true(world):
    provider = world.provider
    if world.heard("PaymentVoided"):
        assert (provider.held, provider.kept) == (0, 0)
    if any(type(each).__name__ == "PaymentDeclined" and each.code != "voided" for each in world.said):
        assert provider.charges == 0
    if world.heard("CaptureRefused"):
        assert provider.captured == 0 or world.payment.void_requested
    if world.payment and not world.payment.void_requested and not world.payment.refund:
        if world.heard("PaymentCaptured"):
            assert provider.kept == PAID
        elif world.heard("PaymentAuthorized"):
            assert provider.held + provider.captured == PAID


def _nothing_was_forgotten(world):
    """With nothing left to do, everything asked for was answered, and the books agree with the status."""
    payment, provider = world.payment, world.provider
    assert not [each for each in payment.intents.values() if each.is_open]
    assert (provider.held == PAID) == (payment.status == "authorized")
    assert (provider.kept == PAID) == (payment.status == "captured")
    if payment.void_requested:
        assert world.heard("PaymentVoided")
    elif payment.status == "declined":
        assert world.heard("PaymentDeclined")
    else:
        assert world.heard("PaymentAuthorized")
    if payment.refund:
        assert payment.refund.status == "succeeded"
        assert world.heard("RefundSucceeded")
    if payment.status == "captured":
        assert world.heard("PaymentCaptured")
