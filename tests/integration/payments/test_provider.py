"""The simulator keeps the provider's contract, and its tokens do what the documentation says."""

import asyncio
import socket
import threading
import time
from uuid import uuid4

import httpx2
import pytest
from simulator_process import SimulatorProcess

from payments_svc.provider import Approved, ProviderTimeout, ProviderUnavailable, Refused
from payments_svc.provider_contract import ProviderContract
from payments_svc.simulator_provider import SimulatorProvider
from provider_simulator.books import Books
from provider_simulator.desk import Desk
from provider_simulator.server import Connection


class TestSimulatorProvider(ProviderContract):
    """The simulator process passes every test of the contract."""


def authorize(provider: SimulatorProvider, method: str, order_id: str) -> Approved | Refused:
    return provider.authorize(f"{order_id}:authorize", 500, "EUR", method, order_id)


def test_a_handshake_that_fails_was_no_call_however_often_it_is_tried(simulator: SimulatorProcess) -> None:
    provider = SimulatorProvider(simulator.url.replace("http:", "https:"), timeout_s=1)

    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            authorize(provider, "tok_visa", str(uuid4()))


@pytest.mark.parametrize(
    ("method", "code"),
    [
        ("tok_declined", "card_declined"),
        ("tok_insufficient_funds", "insufficient_funds"),
        ("tok_nobody_knows", "invalid_method"),
    ],
)
def test_a_refusing_token_says_why(provider, method, code):
    refusal = authorize(provider, method, str(uuid4()))

    assert isinstance(refusal, Refused)
    assert refusal.code == code


def test_a_lost_answer_is_found_under_its_key_with_one_charge(provider):
    order = str(uuid4())

    with pytest.raises(ProviderTimeout):
        authorize(provider, "tok_timeout", order)

    found = provider.lookup(f"{order}:authorize")
    assert isinstance(found, Approved)
    assert authorize(provider, "tok_timeout", order) == found
    assert [record.held for record in provider.records(order_id=order)] == [500]


def test_a_flaky_token_turns_away_twice_and_then_works(provider):
    order = str(uuid4())

    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            authorize(provider, "tok_flaky", order)

    assert isinstance(authorize(provider, "tok_flaky", order), Approved)
    assert len(provider.records(order_id=order)) == 1


def test_a_slow_token_answers_within_the_default_time_out(simulator):
    started = time.monotonic()

    outcome = authorize(SimulatorProvider(simulator.url), "tok_slow", str(uuid4()))

    assert isinstance(outcome, Approved)
    assert time.monotonic() - started > 1


def test_concurrent_calls_under_one_key_charge_once(simulator):
    order = str(uuid4())
    outcomes = []
    calls = [
        threading.Thread(
            target=lambda: outcomes.append(authorize(SimulatorProvider(simulator.url), "tok_visa", order))
        )
        for _ in range(8)
    ]

    for call in calls:
        call.start()
    for call in calls:
        call.join()

    assert len(set(outcomes)) == 1
    assert len(SimulatorProvider(simulator.url).records(order_id=order)) == 1


def test_the_books_survive_a_kill(simulator: SimulatorProcess, provider):
    order = str(uuid4())
    held = authorize(provider, "tok_visa", order)

    simulator.kill()
    with pytest.raises(ProviderUnavailable):
        provider.lookup(f"{order}:authorize")
    simulator.start()

    assert provider.lookup(f"{order}:authorize") == held


def test_it_stops_at_once_although_a_caller_waits_in_vain(simulator: SimulatorProcess):
    order = str(uuid4())
    waiting = SimulatorProvider(simulator.url, timeout_s=20)
    caught = []

    def wait_in_vain() -> None:
        try:
            authorize(waiting, "tok_timeout", order)
        except ProviderTimeout as error:
            caught.append(error)

    caller = threading.Thread(target=wait_in_vain)
    caller.start()
    time.sleep(0.3)
    started = time.monotonic()
    simulator.stop()
    took = time.monotonic() - started
    simulator.start()
    caller.join(timeout=5)

    assert took < 1
    assert len(caught) == 1


def test_records_are_read_page_by_page(provider):
    orders = [str(uuid4()) for _ in range(3)]
    for order in orders:
        authorize(provider, "tok_visa", order)
    start = provider.records(order_id=orders[0])[0].position - 1

    first = provider.records(after=start, limit=2)
    rest = provider.records(after=first[-1].position, limit=2)

    assert [record.order_id for record in (*first, *rest)] == orders


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"order_id": "x", "amount": -1, "currency": "EUR", "method": "tok_visa"}']
)
def test_a_malformed_call_is_answered_with_400_and_charges_nothing(simulator, body):
    response = httpx2.post(
        f"{simulator.url}/authorizations", content=body, headers={"Idempotency-Key": str(uuid4())}
    )

    assert response.status_code == 400


def test_under_bad_weather_the_charge_is_made_and_its_answer_never_comes(simulator, provider):
    order = str(uuid4())
    make_weather(simulator, "timeouts", seconds=0.2)

    with pytest.raises(ProviderTimeout):
        authorize(provider, "tok_visa", order)

    assert isinstance(provider.lookup(f"{order}:authorize"), Approved)
    assert [record.held for record in provider.records(order_id=order)] == [500]


def test_under_5xx_nothing_is_charged_and_it_passes_by_itself(simulator, provider):
    order = str(uuid4())
    make_weather(simulator, "5xx", seconds=0.5)

    with pytest.raises(ProviderUnavailable):
        authorize(provider, "tok_visa", order)
    with pytest.raises(ProviderUnavailable):
        provider.lookup(f"{order}:authorize")
    time.sleep(0.5)

    assert provider.lookup(f"{order}:authorize") is None
    assert isinstance(authorize(provider, "tok_visa", order), Approved)


def test_slow_weather_delays_every_answer_until_it_is_fair(simulator, provider):
    make_weather(simulator, "slow", seconds=30, slow_s=0.4)
    began = time.monotonic()
    assert httpx2.get(f"{simulator.url}/calls/none").status_code == 404
    assert time.monotonic() - began >= 0.4

    make_weather(simulator, "fair")
    assert isinstance(authorize(provider, "tok_visa", str(uuid4())), Approved)


def test_only_this_machine_makes_the_weather_and_only_known_kinds(simulator):
    assert httpx2.post(f"{simulator.url}/weather", json={"kind": "hail"}).status_code == 400
    from_elsewhere = Connection(Desk(Books(":memory:"), asyncio.Event()))
    from_elsewhere.connection_made(asyncio.Transport({"peername": ("192.0.2.1", 4711)}))

    status, _ = from_elsewhere._forecast(b'{"kind": "5xx"}')

    assert status == 403


def make_weather(simulator: SimulatorProcess, kind: str, **how: float) -> None:
    answer = httpx2.post(f"{simulator.url}/weather", json={"kind": kind, **how})
    assert answer.json() == {"weather": kind}


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"POST /captures HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /captures HTTP/1.1\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000,
    ],
)
def test_what_cannot_be_read_is_answered_with_400_and_hung_up_on(simulator, sent):
    host, _, port = simulator.url.removeprefix("http://").partition(":")

    with socket.create_connection((host, int(port)), timeout=5) as caller:
        caller.sendall(sent)
        answer = b"".join(iter(lambda: caller.recv(4096), b""))

    assert answer.startswith(b"HTTP/1.1 400 ")


def test_a_request_may_come_in_pieces_and_another_follow_on_its_connection(simulator):
    host, _, port = simulator.url.removeprefix("http://").partition(":")
    request = b"GET /calls/none HTTP/1.1\r\nHost: x\r\n\r\n"

    with socket.create_connection((host, int(port)), timeout=5) as caller:
        for _ in range(2):
            for piece in (request[:9], request[9:]):
                caller.sendall(piece)
                time.sleep(0.05)
            assert caller.recv(4096).startswith(b"HTTP/1.1 404 ")


def test_health_is_answered(simulator):
    for path in ("/health/live", "/health/ready"):
        assert httpx2.get(simulator.url + path).status_code == 200
