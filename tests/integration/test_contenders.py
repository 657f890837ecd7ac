"""Whom the bench compares Orderflow with is real: each takes orders through all steps, with stock and money right."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from issuer import AUDIENCE, ISSUER, Issuer

from bench.contenders import Contender, Progress, Servers, everybody
from bench.contenders.databases import PRICE, Databases
from local_stack import http
from local_stack.ports import free_port
from local_stack.process import Process

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = {"name": "A", "street": "S 1", "postal_code": "1", "city": "C", "country": "DE"}
SKUS, PIECES, ORDERS = ["BENCH-1", "BENCH-2"], 20, 8


def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.05)


def answers(port: int) -> bool:
    answer = http.get(f"http://127.0.0.1:{port}/health/live")
    return answer is not None and answer.status == 200


def body(*lines: tuple[str, int], method: str = "tok_visa") -> dict[str, Any]:
    asked = [{"sku": sku, "quantity": quantity} for sku, quantity in lines]
    return {"lines": asked, "payment_method": method, "shipping_address": ADDRESS}


@contextmanager
def running(home: Path, name: str, argv: list[str], environment: dict[str, str]) -> Iterator[Process]:
    process = Process(
        name=name, argv=argv, environment={**os.environ, **environment}, log=home / name, directory=ROOT
    )
    process.spawn()
    try:
        yield process
    finally:
        process.terminate()
        process.stop()


@pytest.fixture(scope="module")
def surroundings(private_servers: Any, tmp_path_factory: Any) -> Iterator[tuple[Servers, Issuer]]:
    """The private servers, a provider simulator and an issuer of tokens."""
    home, port, issuer = tmp_path_factory.mktemp("bench"), free_port(), Issuer()
    keys = home / "jwks.json"
    keys.write_text(json.dumps({"keys": [issuer.public_key()]}))
    argv = [sys.executable, "-m", "provider_simulator", "--port", str(port), "--store", str(home / "books")]
    with running(home, "simulator", argv, {}):
        until(lambda: answers(port), "the simulator")
        rabbitmq = private_servers.servers.rabbitmq
        yield (
            Servers(
                postgres_admin_url=private_servers.access.postgres_admin_url,
                amqp_url=rabbitmq.url("admin", rabbitmq.password),
                redis_url=private_servers.access.redis_admin_url,
                provider_url=f"http://127.0.0.1:{port}",
                identity={
                    "ORDERFLOW_JWT_ISSUER": ISSUER,
                    "ORDERFLOW_JWT_AUDIENCE": AUDIENCE,
                    "ORDERFLOW_JWKS_URL": keys.as_uri(),
                },
            ),
            issuer,
        )


@contextmanager
def at_work(contender: Contender, servers: Servers, home: Path) -> Iterator[str]:
    """Yield the URL of its API."""
    contender.prepare(servers, SKUS, PIECES)
    port = free_port()
    commands = contender.processes(servers, [port])
    with ThreadPoolExecutor() as pool:
        everything = [
            running(home, f"{number}-{command.kind}", list(command.argv), dict(command.environment))
            for number, command in enumerate(commands)
        ]
        processes = [each.__enter__() for each in everything]
        try:
            until(lambda: answers(port) and contender.ready(servers), contender.name)
            yield f"http://127.0.0.1:{port}"
        finally:
            list(pool.map(lambda process: process.stop(), processes))


def captured(servers: Servers, orders: list[str]) -> list[int]:
    with httpx2.Client(base_url=servers.provider_url) as provider:
        records = [provider.get("/records", params={"order_id": order}).json()["items"] for order in orders]
    return [sum(each["captured"] for each in of_order) for of_order in records]


@pytest.mark.parametrize("name", [each.name for each in everybody() if not each.intake_only])
def test_a_contender_sells_what_is_there_and_takes_the_money_for_it(
    name: str, surroundings: tuple[Servers, Issuer], tmp_path: Path
) -> None:
    servers, issuer = surroundings
    contender = next(each for each in everybody() if each.name == name)
    good = body(("BENCH-2", 1), ("BENCH-1", 1), ("BENCH-2", 1))
    short = body(("BENCH-1", 1), ("BENCH-2", PIECES + 1))
    declined = body(("BENCH-1", 1), method="tok_declined")

    with at_work(contender, servers, tmp_path) as url, httpx2.Client(base_url=url) as api:
        accepted = [
            api.post("/v1/orders", json=each, headers=issuer.headers())
            for each in [short, declined, *[good] * ORDERS]
        ]
        assert {answer.status_code for answer in accepted} == {202}, accepted[0].text
        until(lambda: contender.progress(servers).unfinished == 0, f"{name}: {contender.progress(servers)}")
        assert api.post("/v1/orders", json=good).status_code == 401

    assert contender.progress(servers) == Progress(accepted=ORDERS + 2, finished=ORDERS, refused=2)
    assert contender.wrongs(servers) == []
    assert captured(servers, [answer.json()["id"] for answer in accepted]) == [0, 0, *[3 * PRICE] * ORDERS]
    assert len(contender.seconds(servers)) == ORDERS


def test_bare_flask_writes_each_order_down(surroundings: tuple[Servers, Issuer], tmp_path: Path) -> None:
    servers, _ = surroundings
    bare = next(each for each in everybody() if each.intake_only)

    with at_work(bare, servers, tmp_path) as url:
        answer = httpx2.post(f"{url}/v1/orders", json=body(("BENCH-1", 1)))

    assert answer.status_code == 202
    assert bare.progress(servers).accepted == 1


def test_what_does_not_add_up_is_named(private_servers: Any) -> None:
    databases = Databases(private_servers.access.postgres_admin_url, "nobody")
    databases.make(SKUS, PIECES)
    assert databases.wrongs() == []

    with psycopg.connect(databases.url("inventory")) as connection:
        connection.execute("UPDATE stock SET on_hand = on_hand - 1, reserved = 1 WHERE sku = 'BENCH-1'")
    with psycopg.connect(databases.url("payments")) as connection:
        connection.execute("INSERT INTO payments VALUES (gen_random_uuid(), 5, 'EUR', 'captured', 'r')")

    wrongs = "\n".join(databases.wrongs())
    assert "BENCH-1: 1 pieces are still reserved" in wrongs
    assert "BENCH-1: 1 pieces left the shelf, 0 were sold" in wrongs
    assert "payment (captured,5) of no order" in wrongs
