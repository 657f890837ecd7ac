"""What chaos does and when is decided by its seed alone."""

from itertools import pairwise

import click
import pytest

from orderflow_cli.chaos.inject import INJECTORS
from orderflow_cli.chaos.kinds import KINDS, THROUGH_THE_PROXY
from orderflow_cli.chaos.load import BY_CUSTOMER, load_plan
from orderflow_cli.chaos.schedule import Fault, no_time, schedule, usual_s
from orderflow_cli.chaos.verb import Kinds

MIXED = tuple(KINDS)
TEN_MINUTES = 600.0


@pytest.mark.parametrize("seed", range(1, 21))
def test_a_mixed_run_of_ten_minutes_has_at_least_60_faults_and_every_kind(seed: int) -> None:
    faults = schedule(seed, MIXED, TEN_MINUTES)

    assert len(faults) >= 60
    assert {fault.kind for fault in faults} == set(MIXED)
    assert all(0 <= fault.at < TEN_MINUTES for fault in faults)
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)


@pytest.mark.parametrize("seed", range(1, 21))
@pytest.mark.parametrize("kinds", [MIXED, MIXED[:2], MIXED[::-3]], ids=len)
def test_unless_said_otherwise_every_kind_comes_once(seed: int, kinds: tuple[str, ...]) -> None:
    seconds = usual_s(kinds, 10)
    faults = schedule(seed, kinds, seconds)

    assert {fault.kind for fault in faults} == set(kinds)
    assert all(fault.at < seconds for fault in faults)
    assert no_time(kinds, faults) == {}
    assert 8.0 * len(kinds) <= seconds <= max(30.0, 8.5 * len(kinds))


def test_a_run_is_long_enough_for_its_orders_and_one_kind_alone_does_as_the_orders_do() -> None:
    assert usual_s(MIXED, 100_000) == 6_000.0
    assert usual_s(("poison",), 1_000) == 60.0
    assert usual_s(("poison",), 1) == usual_s((), 1) == 30.0


@pytest.mark.parametrize("seconds", [5.0, 60.0, 200.0])
def test_a_kind_for_which_there_is_no_time_is_named_with_what_reaches_all(seconds: float) -> None:
    faults = schedule(1, MIXED, seconds)
    missed = no_time(MIXED, faults)

    assert missed
    assert missed.keys() == set(MIXED) - {fault.kind for fault in faults}
    (why,) = set(missed.values())
    enough = int(why.removeprefix("no time: --seconds ").removesuffix(" reaches all"))
    assert no_time(MIXED, schedule(1, MIXED, enough)) == {}


def test_the_same_seed_gives_the_same_faults_and_another_seed_others() -> None:
    assert schedule(1, MIXED, TEN_MINUTES) == schedule(1, MIXED, TEN_MINUTES)
    assert schedule(1, MIXED, TEN_MINUTES) != schedule(2, MIXED, TEN_MINUTES)


def test_the_schedule_does_not_depend_on_the_run_of_python() -> None:
    """Sets and hashes differ from process to process; what a seed means must not."""
    first = schedule(1, ("broker-killed", "poison"), 30)[0]

    assert first == Fault(1, "broker-killed", 7.3, "rabbitmq")


@pytest.mark.parametrize("kind", MIXED)
def test_every_kind_can_be_run_alone(kind: str) -> None:
    faults = schedule(3, (kind,), 60.0)

    assert {fault.kind for fault in faults} == {kind}
    its = KINDS[kind]
    assert all(fault.target in its.targets and fault.amount in its.amounts for fault in faults)
    for before, after in pairwise(faults):
        assert after.at - before.at >= before.lasts_s + its.rest_s


@pytest.mark.parametrize("kind", ["duplicate-all", "reorder"])
def test_alone_a_fault_of_messages_spans_the_whole_run(kind: str) -> None:
    assert [(fault.at, fault.lasts_s) for fault in schedule(1, (kind,), 45.0)] == [(0.0, 45.0)]


def test_a_freeze_lasts_longer_than_the_heartbeat_of_20_s() -> None:
    frozen = [fault for fault in schedule(1, MIXED, TEN_MINUTES) if fault.kind.endswith("-frozen")]

    assert frozen
    assert all(fault.lasts_s > 20 for fault in frozen)


def test_every_kind_has_its_injector_and_no_injector_is_without_a_kind() -> None:
    assert set(INJECTORS) == set(KINDS)
    assert set(THROUGH_THE_PROXY) <= set(KINDS)


def test_the_option_names_what_is_unknown() -> None:
    assert Kinds().convert("poison,clock,poison", None, None) == ("poison", "clock")
    with pytest.raises(click.UsageError, match="no fault 'hail'"):
        Kinds().convert("poison,hail", None, None)


def test_the_load_is_mixed_and_has_customers_who_change_their_minds() -> None:
    its = load_plan("x", 200)

    kinds = {purchase.kind for purchase in its.purchases}
    assert kinds == {"plain", "scarce", "declined", "no funds", "slow", "time-out", "flaky", BY_CUSTOMER}
    assert any(purchase.twice for purchase in its.purchases)
    assert {purchase.method for purchase in its.purchases if purchase.kind == BY_CUSTOMER} == {"tok_visa"}
