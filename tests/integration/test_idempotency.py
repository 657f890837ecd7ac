"""A POST that is sent again is answered again and acts once, with Redis and without."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import sqlalchemy
from flask import Flask, Response
from issuer import AUDIENCE, ISSUER, Issuer
from marshmallow import Schema, fields
from sqlalchemy import Engine, text

from shared_events.settings import Servers
from shared_http import idempotency_rows, problems
from shared_http.application import create_api, json_response
from shared_http.blueprint import Blueprint, requires
from shared_http.edge import current_edge
from shared_http.idempotency import idempotent, remember
from shared_http.problems import Problem
from shared_http.settings import HttpSettings

REFUSED = problems.register("refused-in-a-test", 409, "Refused", "A test wanted it so.")
JSON = dict[str, Any]


class NoteSchema(Schema):
    text = fields.String(required=True)
    extra = fields.Dict()


class Notebook:
    """An API with one effect: each POST writes a note.

    `refuse` and `hold` make it refuse or wait; with `fail_late` all that it has written is rolled back.
    """

    def __init__(self, engine: Engine, redis_url: str) -> None:
        self.engine = engine
        self.issuer = Issuer()
        self.refuse = False
        self.fail_late = False
        self.hold: threading.Event | None = None
        self.entered = threading.Event()
        self.app = self._app(redis_url)

    def _app(self, redis_url: str) -> Flask:
        blp = Blueprint("notes", __name__)

        @blp.route("/v1/notes", methods=["POST"], access=requires("customer"))
        @idempotent(required=True)
        @blp.arguments(NoteSchema)
        def write_note(body: JSON) -> Response:
            """Write a note."""
            if self.refuse:
                raise Problem(REFUSED)
            with current_edge().engine.begin() as connection:
                written = connection.execute(
                    text("INSERT INTO notes (text) VALUES (:text) RETURNING id"), {"text": body["text"]}
                ).scalar_one()
                self.entered.set()
                if self.hold:
                    self.hold.wait(10)
                answer = json_response({"id": written}, 202, {"Location": f"/v1/notes/{written}"})
                remember(connection, answer)
                if self.fail_late:
                    raise Problem(REFUSED)
            return answer

        servers = Servers("", "amqp://127.0.0.1:1", redis_url)
        settings = HttpSettings(servers, ISSUER, AUDIENCE, "file:///nowhere")
        return create_api(
            "customers", settings=settings, engine=self.engine, blueprints=[blp], keys=self.issuer
        )

    def post(self, key: str | None = "k", *, who: str = "alice", body: JSON | None = None) -> Any:
        headers = self.issuer.headers(who)
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.app.test_client().post("/v1/notes", json=body or {"text": "x"}, headers=headers)

    def notes(self) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM notes")).scalar_one())


@pytest.fixture(scope="module")
def engine(private_servers: Any) -> Iterator[Engine]:
    url = private_servers.access.database_url("customers").replace("postgresql://", "postgresql+psycopg://")
    made = sqlalchemy.create_engine(
        url, pool_size=60, connect_args={"options": "-c search_path=idempotency_test"}
    )
    with made.begin() as connection:
        connection.execute(text("CREATE SCHEMA idempotency_test"))
        connection.execute(text("CREATE TABLE notes (id serial PRIMARY KEY, text text)"))
        idempotency_rows.METADATA.create_all(connection)
    yield made
    with made.begin() as connection:
        connection.execute(text("DROP SCHEMA idempotency_test CASCADE"))
    made.dispose()


@pytest.fixture
def notebook(engine: Engine, private_servers: Any) -> Notebook:
    made = Notebook(engine, private_servers.access.redis_url("customers"))
    made.refuse, made.hold = False, None
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE notes, idempotency_keys"))
    forget(private_servers)
    return made


@pytest.fixture
def notebook_without_redis(engine: Engine, notebook: Notebook) -> Notebook:
    return Notebook(engine, "redis://127.0.0.1:1/0")


def forget(private_servers: Any) -> None:
    """Lose everything that Redis knows."""
    redis.Redis.from_url(private_servers.access.redis_admin_url).flushall()


def test_the_same_key_gives_the_first_answer_again(notebook: Notebook) -> None:
    first = notebook.post()
    again = notebook.post()

    assert (again.status_code, again.data) == (first.status_code, first.data) == (202, first.data)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert notebook.notes() == 1


def test_a_quoted_key_is_the_same_key(notebook: Notebook) -> None:
    notebook.post("abc")

    assert notebook.post('"abc"').headers["Idempotency-Replayed"] == "true"
    assert notebook.notes() == 1


def test_another_body_under_the_same_key_is_refused(notebook: Notebook) -> None:
    notebook.post(body={"text": "x"})

    answer = notebook.post(body={"text": "y"})

    assert (answer.status_code, answer.json["type"]) == (422, "/problems/idempotency-key-reused")


def test_the_order_of_members_is_not_another_body(notebook: Notebook) -> None:
    notebook.post(body={"text": "x", "extra": {"a": 1, "b": 2}})

    assert notebook.post(body={"extra": {"b": 2, "a": 1}, "text": "x"}).status_code == 202


def test_keys_of_two_customers_are_apart(notebook: Notebook) -> None:
    assert notebook.post(who="alice").json != notebook.post(who="bob").json
    assert notebook.notes() == 2


@pytest.mark.parametrize(
    ("key", "slug"),
    [
        (None, "idempotency-key-missing"),
        ("", "idempotency-key-malformed"),
        ("two words", "idempotency-key-malformed"),
        ("x" * 256, "idempotency-key-malformed"),
    ],
)
def test_a_missing_or_unreadable_key_is_refused(notebook: Notebook, key: str | None, slug: str) -> None:
    answer = notebook.post(key)

    assert (answer.status_code, answer.json["type"]) == (400, f"/problems/{slug}")
    assert notebook.notes() == 0


def test_a_refusal_frees_the_key(notebook: Notebook) -> None:
    notebook.refuse = True
    assert notebook.post().json["type"] == "/problems/refused-in-a-test"

    notebook.refuse = False
    assert notebook.post().status_code == 202


def test_an_effect_that_is_rolled_back_at_the_end_frees_the_key(notebook: Notebook) -> None:
    notebook.fail_late = True
    assert notebook.post().status_code == 409

    notebook.fail_late = False
    assert notebook.post().status_code == 202
    assert notebook.notes() == 1


def test_an_invalid_body_frees_the_key(notebook: Notebook) -> None:
    assert notebook.post(body={"text": 7}).status_code == 422
    assert notebook.post(body={"text": "x"}).status_code == 202


@pytest.mark.parametrize("redis_is_flushed", [False, True])
def test_an_answered_key_is_answered_even_where_a_new_request_is_refused(
    notebook: Notebook, private_servers: Any, redis_is_flushed: bool
) -> None:
    first = notebook.post()
    notebook.refuse = True
    if redis_is_flushed:
        forget(private_servers)

    assert notebook.post().data == first.data
    assert notebook.post("other").status_code == 409


def test_after_a_flush_of_redis_the_row_gives_the_same_answers(
    notebook: Notebook, private_servers: Any
) -> None:
    first = notebook.post()
    forget(private_servers)

    again = notebook.post()
    forget(private_servers)
    other = notebook.post(body={"text": "y"})

    assert (again.data, again.headers["Idempotency-Replayed"]) == (first.data, "true")
    assert (other.status_code, notebook.notes()) == (422, 1)


def test_without_redis_the_answers_are_the_same(notebook_without_redis: Notebook) -> None:
    first = notebook_without_redis.post()

    assert notebook_without_redis.post().data == first.data
    assert notebook_without_redis.post(body={"text": "y"}).status_code == 422
    assert notebook_without_redis.notes() == 1


def test_while_the_first_runs_the_second_is_told_to_wait(notebook: Notebook) -> None:
    notebook.hold = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(notebook.post)
        assert notebook.entered.wait(5)
        second = notebook.post()
        notebook.hold.set()
        first = running.result()

    assert (second.status_code, second.json["type"]) == (409, "/problems/idempotency-key-in-use")
    assert second.headers["Retry-After"] == "1"
    assert first.status_code == 202
    assert notebook.post().data == first.data


@pytest.mark.parametrize("with_redis", [True, False])
def test_fifty_at_once_act_once(
    notebook: Notebook, notebook_without_redis: Notebook, with_redis: bool
) -> None:
    its = notebook if with_redis else notebook_without_redis
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: its.post(), range(50)))

    accepted = [answer for answer in answers if answer.status_code == 202]
    assert its.notes() == 1
    assert len({answer.data for answer in accepted}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in accepted) == 1
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert with_redis or len(accepted) == 50


def test_a_claim_is_deleted_only_by_its_own_token(notebook: Notebook, private_servers: Any) -> None:
    admin = redis.Redis.from_url(private_servers.access.redis_admin_url)
    notebook.hold = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(notebook.post)
        assert notebook.entered.wait(5)
        (name,) = admin.keys("customers:idempotency:*")
        admin.set(name, b"somebody else's")
        notebook.hold.set()
        running.result()

    assert admin.get(name) == b"somebody else's"
