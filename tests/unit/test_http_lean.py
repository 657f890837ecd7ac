"""Answers leave whole: a list with the body, the headers as they were set."""

from typing import Any

import pytest

from shared_http.lean import Answer, LeanFlask


def _sent(app: LeanFlask, method: str = "GET") -> tuple[list[bytes], str, dict[str, str]]:
    began: list[Any] = []
    with app.test_request_context("/", method=method) as context:
        body = app(
            context.request.environ, lambda status, headers, _=None: began.append((status, dict(headers)))
        )
    assert isinstance(body, list)
    return body, *began[0]


def _app(answer: Any) -> LeanFlask:
    app = LeanFlask("x", static_folder=None)
    app.get("/")(lambda: answer)
    return app


@pytest.mark.parametrize("answer", ["text", b"text", Answer(b"text", 200)])
def test_a_body_leaves_in_one_piece_with_its_length(answer: Any) -> None:
    body, status, headers = _sent(_app(answer))

    assert (b"".join(body), len(body), status) == (b"text", 1, "200 OK")
    assert headers["Content-Length"] == "4"


def test_an_answer_to_head_has_the_length_and_no_body() -> None:
    body, _, headers = _sent(_app("text"), "HEAD")

    assert b"".join(body) == b""
    assert headers["Content-Length"] == "4"


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_may_have_no_body_names_no_length(status: int) -> None:
    body, _, headers = _sent(_app(Answer(b"", status)))

    assert b"".join(body) == b""
    assert "Content-Length" not in headers
