"""Operators list, show, replay and discard a service's dead letters over HTTP."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from issuer import AUDIENCE, ISSUER, Issuer
from sqlalchemy import Engine, select, text

from shared_events import database, dead_letters
from shared_events.contract import seal
from shared_events.contracts.customers import CustomerSnapshotRequested
from shared_events.delivery import Delivery
from shared_events.outbox import celery_body
from shared_events.settings import Servers
from shared_events.tables import OUTBOX
from shared_http.application import create_api
from shared_http.ops import ops_routes
from shared_http.settings import HttpSettings

JSON = dict[str, Any]
LETTERS = "/ops/customers/dead-letters"
SOME_ID = "01a20000-0000-7000-8000-000000000000"


class Desk:
    """The operators' routes of one service."""

    def __init__(self, engine: Engine, redis_url: str) -> None:
        self.engine = engine
        self.issuer = Issuer()
        settings = HttpSettings(
            Servers("", "amqp://127.0.0.1:1", redis_url), ISSUER, AUDIENCE, "file:///nowhere"
        )
        self.app = create_api(
            "customers",
            settings=settings,
            engine=engine,
            blueprints=[ops_routes("customers")],
            keys=self.issuer,
        )

    def get(self, path: str, scope: str = "ops") -> Any:
        return self.app.test_client().get(path, headers=self.issuer.headers("olga", scope))

    def post(self, path: str, body: JSON | None = None) -> Any:
        return self.app.test_client().post(path, json=body, headers=self.issuer.headers("olga", "ops"))

    def bury(self, cause: str, body: bytes | None = None) -> str:
        """Make a dead letter; return the journey it belongs to."""
        journey = uuid4()
        made = celery_body(seal(CustomerSnapshotRequested(), correlation_id=journey))
        headers = {"task": "customers.snapshot_requested", "x-dead-traceback": "Traceback …"}
        delivery = Delivery(body or made, headers, "application/json", "utf-8", "orders", "messages", "x")
        with self.engine.begin() as connection:
            dead_letters.bury(connection, "customers", [(delivery, cause, f"{cause} in particular")])
        return str(journey)

    def ids(self, query: str = "") -> list[str]:
        return [each["id"] for each in self.get(LETTERS + query).json["items"]]

    def leaving(self) -> list[bytes]:
        with self.engine.connect() as connection:
            return list(connection.execute(select(OUTBOX.c.body)).scalars())


@pytest.fixture(scope="module")
def engine(servers: Any) -> Iterator[Engine]:
    made = database.engine(servers.access.database_url("customers"), pool_size=5, process="test")
    yield made
    made.dispose()


@pytest.fixture
def desk(engine: Engine, servers: Any) -> Desk:
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE dead_letters, outbox, idempotency_keys"))
    return Desk(engine, servers.access.redis_url("customers"))


def test_they_are_listed_page_by_page_and_by_cause(desk: Desk) -> None:
    for cause in ("bug", "bug", "poison"):
        desk.bury(cause)

    first = desk.get(f"{LETTERS}?limit=2").json
    second = desk.get(f"{LETTERS}?limit=2&cursor={first['next_cursor']}").json

    assert [each["cause"] for each in first["items"] + second["items"]] == ["poison", "bug", "bug"]
    assert second["next_cursor"] is None
    assert len(desk.ids("?cause=bug")) == 2
    assert desk.ids("?status=discarded") == desk.ids("?type=other") == []
    causes = desk.get(f"{LETTERS}/causes").json["items"]
    assert [(each["cause"], each["count"]) for each in causes] == [("bug", 2), ("poison", 1)]


def test_one_is_shown_with_its_message(desk: Desk) -> None:
    journey = desk.bury("bug")
    (dead,) = desk.ids()

    shown = desk.get(f"{LETTERS}/{dead}").json

    assert shown["correlation_id"] == journey
    assert journey in shown["body"]
    assert shown["traceback"] == "Traceback …"
    assert desk.get(f"{LETTERS}/{uuid4()}").status_code == 404


def test_one_that_is_no_text_is_shown_too(desk: Desk) -> None:
    desk.bury("undecodable", b"\xff\x00")
    (dead,) = desk.ids()

    assert desk.get(f"{LETTERS}/{dead}").json["body_base64"] == "/wA="


def test_a_replay_sends_it_once_and_says_by_whom(desk: Desk) -> None:
    desk.bury("bug")
    (dead,) = desk.ids()

    first = desk.post(f"{LETTERS}/{dead}/replay")
    again = desk.post(f"{LETTERS}/{dead}/replay", {"reason": "again"})

    assert (first.status_code, first.json["status"], first.json["resolved_by"]) == (200, "replayed", "olga")
    assert (again.status_code, again.json["type"]) == (409, "/problems/dead-letter-closed")
    assert len(desk.leaving()) == 1
    assert desk.ids() == []
    assert desk.ids("?status=any") == [dead]


def test_a_forged_one_is_not_replayed_alone_nor_with_others(desk: Desk) -> None:
    desk.bury("forged")
    (dead,) = desk.ids()

    alone = desk.post(f"{LETTERS}/{dead}/replay")
    dry = desk.post(f"{LETTERS}/replay", {"cause": "forged", "dry_run": True}).json
    many = desk.post(f"{LETTERS}/replay", {"cause": "forged"}).json

    assert (alone.status_code, alone.json["type"]) == (409, "/problems/dead-letter-forged")
    assert "discard it" in alone.json["detail"]
    assert (dry["count"], many["count"], desk.leaving()) == (0, 0, [])
    assert desk.post(f"{LETTERS}/{dead}/discard", {"reason": "not ours"}).json["status"] == "discarded"
    closed = desk.post(f"{LETTERS}/{dead}/replay")
    assert (closed.status_code, closed.json["type"]) == (409, "/problems/dead-letter-closed")


def test_a_discard_needs_a_reason(desk: Desk) -> None:
    desk.bury("bug")
    (dead,) = desk.ids()

    assert desk.post(f"{LETTERS}/{dead}/discard").status_code == 422
    answer = desk.post(f"{LETTERS}/{dead}/discard", {"reason": "a test"})

    assert (answer.json["status"], answer.json["resolution"]) == ("discarded", "a test")
    assert desk.leaving() == []


def test_many_are_replayed_by_filter_after_a_dry_run(desk: Desk) -> None:
    for cause in ("bug", "bug", "poison"):
        desk.bury(cause)

    dry = desk.post(f"{LETTERS}/replay", {"cause": "bug", "dry_run": True}).json
    assert (dry["count"], desk.leaving()) == (2, [])

    done = desk.post(f"{LETTERS}/replay", {"cause": "bug", "reason": "mended"}).json
    assert set(done["ids"]) == set(dry["ids"])
    assert len(desk.leaving()) == 2
    assert len(desk.ids()) == 1


def test_many_are_discarded_by_filter_after_a_dry_run(desk: Desk) -> None:
    for cause in ("bug", "bug", "poison"):
        desk.bury(cause)
    wanted = {"cause": "bug", "reason": "a test"}

    dry = desk.post(f"{LETTERS}/discard", {**wanted, "dry_run": True}).json
    assert (dry["count"], len(desk.ids())) == (2, 3)

    done = desk.post(f"{LETTERS}/discard", wanted).json
    assert (done["dry_run"], set(done["ids"])) == (False, set(dry["ids"]))
    assert (len(desk.ids()), desk.leaving()) == (1, [])
    for dead in done["ids"]:
        closed = desk.get(f"{LETTERS}/{dead}").json
        assert (closed["status"], closed["resolved_by"], closed["resolution"]) == (
            "discarded",
            "olga",
            "a test",
        )
        assert closed["resolved_at"]
    causes = desk.get(f"{LETTERS}/causes?status=discarded").json["items"]
    assert [(each["cause"], each["count"]) for each in causes] == [("bug", 2)]


def test_all_are_discarded_only_by_who_says_so_and_why(desk: Desk) -> None:
    desk.bury("bug")

    unsaid = desk.post(f"{LETTERS}/discard", {"reason": "spring clean"})
    no_reason = desk.post(f"{LETTERS}/discard", {"all": True})
    assert (unsaid.status_code, unsaid.json["errors"][0]["pointer"]) == (422, "#/all")
    assert (no_reason.status_code, no_reason.json["errors"][0]["pointer"]) == (422, "#/reason")
    assert len(desk.ids()) == 1

    assert desk.post(f"{LETTERS}/discard", {"all": True, "reason": "spring clean"}).json["count"] == 1
    assert desk.ids() == []


def test_those_of_one_order_are_listed_and_discarded_alone(desk: Desk) -> None:
    mine, _ = desk.bury("bug"), desk.bury("bug")

    assert len(desk.ids(f"?correlation_id={mine}")) == 1
    done = desk.post(f"{LETTERS}/discard", {"correlation_id": mine, "reason": "this order only"}).json
    assert (done["count"], len(desk.ids())) == (1, 1)


def test_a_story_shows_what_waits_and_what_died(desk: Desk) -> None:
    journey = desk.bury("bug")

    (entry,) = desk.get(f"/ops/customers/stories/{journey}").json["items"]
    assert (entry["service"], entry["state"]) == ("customers", "open")
    assert "bug in particular" in entry["detail"]
    assert desk.get(f"/ops/customers/stories/{uuid4()}").json["items"] == []


@pytest.mark.parametrize(
    "path", [LETTERS, f"{LETTERS}/causes", f"{LETTERS}/{SOME_ID}", f"/ops/customers/stories/{SOME_ID}"]
)
def test_only_operators_look(desk: Desk, path: str) -> None:
    assert desk.get(path, scope="customer staff").status_code == 403
