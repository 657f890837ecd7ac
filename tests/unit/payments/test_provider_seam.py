"""Anybody can bring a provider: the contract lets it in, and one variable names it."""

import os
import subprocess
import sys

import pytest
from own_provider import ForgetfulProvider, OwnProvider

from payments_svc.provider_contract import ProviderContract, Purchase
from payments_svc.settings import payment_provider
from shared_events.environment import BadSetting


class TestOwnProvider(ProviderContract):
    """Another provider than the simulator passes the contract."""

    @pytest.fixture
    def provider(self):
        return OwnProvider()


def test_the_contract_finds_a_provider_that_forgets_its_keys():
    purchase = Purchase(ForgetfulProvider(), "tok_visa")

    with pytest.raises(AssertionError):
        ProviderContract().test_a_repeat_under_the_same_key_returns_the_first_outcome(purchase)
    with pytest.raises(AssertionError):
        ProviderContract().test_a_call_repeated_under_its_key_after_a_void_returns_the_first_outcome_and_holds_no_money(
            purchase
        )


def test_one_variable_names_the_provider(monkeypatch):
    monkeypatch.setenv("ORDERFLOW_PAYMENT_PROVIDER", "own_provider:OwnProvider")

    assert isinstance(payment_provider(), OwnProvider)


@pytest.mark.parametrize("path", ["nowhere:Nothing", "own_provider:Nothing", "own_provider", ":", "a..b:C"])
def test_a_provider_that_is_not_there_is_named(monkeypatch, path):
    monkeypatch.setenv("ORDERFLOW_PAYMENT_PROVIDER", path)

    with pytest.raises(BadSetting, match="ORDERFLOW_PAYMENT_PROVIDER"):
        payment_provider()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"ORDERFLOW_PAYMENT_PROVIDER": "nowhere:Nothing"}, "ORDERFLOW_PAYMENT_PROVIDER"),
        ({"ORDERFLOW_PROVIDER_URL": ""}, "ORDERFLOW_PROVIDER_URL is missing"),
    ],
)
def test_an_executor_with_a_wrong_provider_says_so_in_one_line_and_does_not_start(wrong, named):
    environment = {
        **os.environ,
        "ORDERFLOW_DATABASE_URL": "postgresql://127.0.0.1:1/x",
        "ORDERFLOW_BROKER_URL": "amqp://127.0.0.1:1/orderflow",
        "ORDERFLOW_REDIS_URL": "redis://127.0.0.1:1/0",
        "ORDERFLOW_PROVIDER_URL": "http://127.0.0.1:1",
        **wrong,
    }

    ended = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "payments_svc.executor", "worker"],
        env=environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert ended.returncode == 2
    assert named in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
