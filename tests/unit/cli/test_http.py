"""The client's connection: what is tried again, what is not, and what a person is told."""

import time

import pytest

from screening.client.errors import ClientError
from screening.client.http import Connection
from tests.conftest import free_port
from tests.unit.cli.server import Answer, scripted_server

PROBLEM = {"title": "Conflict", "detail": "Run 3 takes no more files; open a new run.", "code": "run_closed"}


def test_the_token_is_sent_and_the_answer_read() -> None:
    with scripted_server(Answer(body={"id": 3})) as server, Connection(server.url + "/", "secret") as connection:
        assert connection.get("/api/v1/runs/3", cursor=None, limit=5) == {"id": 3}
    assert server.requests[0].headers["Authorization"] == "Bearer secret"
    assert server.requests[0].path == "/api/v1/runs/3?limit=5"


@pytest.mark.parametrize("trouble", [Answer(503), Answer(502, b"<html>"), Answer(hang_up=True), Answer(429)])
def test_what_fails_in_passing_is_tried_again(trouble: Answer) -> None:
    waits: list[ClientError] = []
    with (
        scripted_server(trouble, trouble, Answer(body={"ok": True})) as server,
        Connection(server.url, "t", on_wait=waits.append) as connection,
    ):
        assert connection.post("/x", {"a": 1}) == {"ok": True}
    assert [request.body for request in server.requests] == [b'{"a":1}'] * 3
    assert len(waits) == 2


def test_the_server_may_ask_for_a_longer_pause() -> None:
    with (
        scripted_server(Answer(429, headers={"Retry-After": "2"}), Answer()) as server,
        Connection(server.url, "t") as connection,
    ):
        began = time.monotonic()
        connection.get("/x")
    assert time.monotonic() - began >= 2


def test_patience_ends() -> None:
    with (
        scripted_server(Answer(503, {"detail": "The storage does not answer."})) as server,
        Connection(server.url, "t", patience_s=1) as connection,
        pytest.raises(ClientError, match="storage does not answer"),
    ):
        connection.get("/x")
    assert len(server.requests) >= 2


def test_a_refusal_is_not_tried_again_and_keeps_its_words_and_code() -> None:
    with scripted_server(Answer(409, PROBLEM)) as server, Connection(server.url, "t") as connection:
        with pytest.raises(ClientError, match="takes no more files") as caught:
            connection.post("/x")
        assert (caught.value.status, caught.value.code) == (409, "run_closed")
    assert len(server.requests) == 1


def test_what_must_not_happen_twice_is_not_sent_again_after_doubt() -> None:
    with scripted_server(Answer(hang_up=True), Answer()) as server, Connection(server.url, "t") as connection:
        with pytest.raises(ClientError, match="cannot be reached"):
            connection.post("/runs", {}, again_after_doubt=False)
        assert len(server.requests) == 1


def test_a_wrong_token_says_where_tokens_come_from() -> None:
    with (
        scripted_server(Answer(401, {"detail": "This API token is not known."})) as server,
        Connection(server.url, "t") as connection,
        pytest.raises(ClientError, match="SCREENING_TOKEN"),
    ):
        connection.get("/x")


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[1]"])
def test_another_kind_of_server_is_told(body: bytes) -> None:
    with (
        scripted_server(Answer(body=body)) as server,
        Connection(server.url, "t") as connection,
        pytest.raises(ClientError, match="does not answer as a screening server"),
    ):
        connection.get("/x")


def test_nobody_listens() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with (
        Connection(address, "t", patience_s=0.1) as connection,
        pytest.raises(ClientError, match=f"{address} cannot be reached .*Check that it runs"),
    ):
        connection.get("/x")


@pytest.mark.parametrize("server", ["", "localhost:8000", "ftp://x", "http://[::1"])
def test_an_address_that_is_none(server: str) -> None:
    with pytest.raises(ClientError, match="not understood"):
        Connection(server, "t")


def test_a_server_that_says_when_to_come_again_is_waited_for_beyond_the_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("screening.client.http.time.monotonic", lambda: now[0])
    monkeypatch.setattr("screening.client.http.time.sleep", lambda pause: now.__setitem__(0, now[0] + pause))
    full = Answer(507, {"detail": "The server has room for 0 MB more."}, {"Retry-After": "60"})
    busy = Answer(429, {"detail": "Too many pictures wait."}, {"Retry-After": "15"})
    said: list[str] = []
    with (
        scripted_server(full, full, full, busy, busy, Answer(200, {"ok": True})) as server,
        Connection(server.url, "t", patience_s=30, on_wait=lambda problem: said.append(str(problem))) as connection,
    ):
        assert connection.post("/x", {}) == {"ok": True}
    assert now[0] >= 3 * 60 + 2 * 15
    assert said[0] == "The server has room for 0 MB more."
    assert len(server.requests) == 6
