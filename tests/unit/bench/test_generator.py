"""The load of the bench: when an order is due, what it says, how its answer is read, and that it ends."""

import json
import os
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import ClassVar

import pytest

from bench.generator import Orders, Sent, Wanted, due_s, parse
from bench.load import limit_s, send
from orderflow_cli.errors import CommandError

ROOT = Path(__file__).resolve().parents[3]
STALL_S = 0.6


class Door(socketserver.StreamRequestHandler):
    """An API that accepts everything; it stalls before the answer to one order."""

    stalls_at: ClassVar[bytes] = b"none"
    names: ClassVar[bytes] = b""
    status: ClassVar[str] = "202 Accepted"

    def handle(self) -> None:
        while line := self.rfile.readline():
            headers = {}
            while (line := self.rfile.readline()).strip():
                name, _, value = line.partition(b":")
                headers[name.lower()] = value.strip()
            body = self.rfile.read(int(headers[b"content-length"]))
            key = headers[b"idempotency-key"]
            if key.endswith(self.stalls_at):
                time.sleep(STALL_S)
            assert json.loads(body)["lines"]
            location = b"/v1/orders/" + self.names + key
            answer = f"HTTP/1.1 {self.status}\r\nLocation: ".encode() + location
            self.wfile.write(answer + b"\r\nContent-Length: 2\r\n\r\n{}")


class Other(Door):
    """Another such API, as its answers tell."""

    names: ClassVar[bytes] = b"other-"


class Doors(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wanted]:
    with Doors(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        skus = [f"S{number}" for number in range(9)]
        port = server.server_address[1]
        yield Wanted([port], "run", ["t0", "t1"], skus, 12, 3, os.getpid(), 30)
        server.shutdown()


def test_an_open_loop_has_an_even_pace_whatever_was_before() -> None:
    assert [due_s(number, 20) for number in range(4)] == [0.0, 0.05, 0.1, 0.15]


def test_every_order_has_its_own_key_and_three_different_products() -> None:
    skus = [f"S{number}" for number in range(9)]
    orders = Orders(Wanted(1, "run", ["t0", "t1"], skus, 2, 1, 1, 1))

    heads, bodies = zip(*(orders.request(number).split(b"\r\n\r\n") for number in (0, 1)), strict=True)

    assert [f"Idempotency-Key: run-{number}".encode() in heads[number] for number in (0, 1)] == [True, True]
    assert [f"Bearer t{number}".encode() in heads[number] for number in (0, 1)] == [True, True]
    for head, body in zip(heads, bodies, strict=True):
        assert f"Content-Length: {len(body)}".encode() in head
        assert len({line["sku"] for line in json.loads(body)["lines"]}) == 3


def test_the_hot_product_is_in_every_order_beside_two_others() -> None:
    wanted = Wanted(1, "run", ["t"], ["A", "B", "C"], 1, 1, 1, 1, hot="HOT")

    lines = json.loads(Orders(wanted).request(0).split(b"\r\n\r\n")[1])["lines"]

    assert lines[0]["sku"] == "HOT"
    assert len({line["sku"] for line in lines}) == 3


def test_an_answer_in_pieces_is_read_when_it_is_whole() -> None:
    whole = b"HTTP/1.1 202 Accepted\r\nlocation: /v1/orders/7\r\nContent-Length: 2\r\n\r\n{}"

    assert [parse(whole[:length]) for length in (5, len(whole) - 1)] == [None, None]
    answer = parse(whole)
    assert answer is not None
    assert (answer.status, answer.location, answer.body) == (202, "/v1/orders/7", b"{}")
    with pytest.raises(ValueError, match="Content-Length"):
        parse(b"HTTP/1.1 200 OK\r\n\r\n")


@pytest.mark.parametrize("rate", [None, 200.0])
def test_every_order_is_sent_once_and_each_answer_is_noted(wanted: Wanted, rate: float | None) -> None:
    sent = send(replace(wanted, rate=rate))

    assert sorted(sent.accepted) == [(number, f"run-{number}") for number in range(12)]
    assert len(sent.latencies_ms) == 12
    assert sent.statuses == {"202": 12}
    assert sent.ended > sent.began


def test_orders_go_to_every_api_process(wanted: Wanted) -> None:
    with Doors(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        sent = send(replace(wanted, ports=[*wanted.ports, server.server_address[1]], connections=4))
        server.shutdown()

    assert sorted(number for number, _ in sent.accepted) == list(range(12))
    assert {order_id.partition("-")[0] for _, order_id in sent.accepted} == {"run", "other"}


def test_an_order_that_waits_for_a_free_connection_is_late_since_it_was_due(
    wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Door, "stalls_at", b"run-0")

    sent = send(replace(wanted, rate=100.0, connections=1))

    assert min(sent.latencies_ms) > 1000 * (STALL_S - due_s(11, 100.0)) * 0.9


def test_an_order_that_is_not_accepted_fails_the_load(
    wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Door, "status", "503 No")

    with pytest.raises(CommandError, match="503"):
        send(wanted)


def test_a_load_ends_by_itself_when_its_time_is_over(wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Door, "stalls_at", b"")

    with pytest.raises(CommandError, match="failed"):
        send(replace(wanted, orders=100, connections=1, limit_s=1))


def test_a_load_whose_bench_is_gone_does_not_begin(wanted: Wanted) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.generator"],
        input=json.dumps(asdict(replace(wanted, parent=1))),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert "gone" in done.stderr


def test_the_slower_the_pace_the_longer_the_patience() -> None:
    assert limit_s(1000, None) == 260
    assert limit_s(20, 2.0) == 70
    assert Sent().accepted == []
