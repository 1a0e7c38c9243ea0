"""Sending files: which requests are made, and that every file ends with one receipt."""

import hashlib
import json
from pathlib import Path

import pytest

from screening.client import uploading
from screening.client.errors import ClientError
from screening.client.files import find_files
from screening.client.http import Connection
from screening.client.uploading import GROUP_FILES, FileReceipt, Upload
from tests.unit.cli.server import Answer, ScriptedServer, scripted_server


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def receipts(*files: tuple[str, bytes], status: str = "accepted") -> Answer:
    given = [{"name": name, "sha256": digest(data), "status": status, "reason": None} for name, data in files]
    return Answer(202, {"files": given, "missing": []})


def missing(*datas: bytes) -> Answer:
    return Answer(body={"missing": [digest(data) for data in datas]})


def send(server: ScriptedServer, folder: Path) -> list[FileReceipt]:
    noted: list[tuple[FileReceipt, int]] = []
    with Connection(server.url, "t", patience_s=5) as connection:
        upload = Upload(connection, 7, lambda receipt, size: noted.append((receipt, size)))
        upload.send(find_files([folder]).files)
    assert [receipt for receipt, _ in noted] == upload.receipts
    return upload.receipts


def paths(server: ScriptedServer) -> list[str]:
    return [request.path.removeprefix("/api/v1/runs/7") for request in server.requests]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "w"
    made.mkdir()
    return made


def test_large_files_are_asked_for_before_all_are_hashed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "WINDOW_BYTES", 5)
    (folder / "a").write_bytes(b"first")
    (folder / "b").write_bytes(b"second")
    first = receipts(("w/a", b"first"), status="duplicate")
    second = receipts(("w/b", b"second"), status="duplicate")
    with scripted_server(missing(), first, missing(), second) as server:
        got = send(server, folder)
    assert paths(server) == ["/known", "/admit", "/known", "/admit"]
    assert [receipt.name for receipt in got] == ["w/a", "w/b"]


def test_what_the_server_has_is_admitted_without_its_bytes(folder: Path) -> None:
    (folder / "a").write_bytes(b"known")
    (folder / "b").write_bytes(b"new")
    answers = missing(b"new"), receipts(("w/a", b"known"), status="duplicate"), receipts(("w/b", b"new"))
    with scripted_server(*answers) as server:
        got = send(server, folder)
    assert paths(server) == ["/known", "/admit", "/files"]
    assert json.loads(server.requests[1].body) == {"files": [{"name": "w/a", "sha256": digest(b"known")}]}
    assert b"known" not in server.requests[2].body
    assert b'name="file"; filename="w/b"' in server.requests[2].body
    assert [(receipt.name, receipt.status) for receipt in got] == [("w/a", "duplicate"), ("w/b", "accepted")]
    assert got[1].path == str(folder / "b")


def test_copies_of_one_picture_are_sent_once(folder: Path) -> None:
    for name in ("a", "b", "c"):
        (folder / name).write_bytes(b"same")
    answers = (
        missing(b"same"),
        receipts(("w/a", b"same")),
        missing(),
        receipts(("w/b", b"same"), ("w/c", b"same"), status="duplicate"),
    )
    with scripted_server(*answers) as server:
        assert len(send(server, folder)) == 3
    assert paths(server) == ["/known", "/files", "/known", "/admit"]


def test_small_files_travel_together(folder: Path) -> None:
    names = [f"{number:03}" for number in range(GROUP_FILES)]
    for name in names:
        (folder / name).write_bytes(name.encode())
    files = [(f"w/{name}", name.encode()) for name in names]
    with scripted_server(missing(*(data for _, data in files)), receipts(*files)) as server:
        assert [receipt.name for receipt in send(server, folder)] == [name for name, _ in files]
    assert paths(server) == ["/known", "/files"]


def test_a_request_that_is_too_large_is_split_and_one_file_too_large_is_refused(folder: Path) -> None:
    (folder / "a").write_bytes(b"large")
    (folder / "b").write_bytes(b"small")
    too_large = Answer(413, {"detail": "The request is too large.", "code": "too_large"})
    answers = missing(b"large", b"small"), too_large, too_large, receipts(("w/b", b"small"))
    with scripted_server(*answers) as server:
        first, second = send(server, folder)
    assert (first.name, first.status, first.code, first.reason) == (
        "w/a", "rejected", "too_large", "The request is too large.",
    )  # fmt: skip
    assert (second.name, second.status) == ("w/b", "accepted")


def test_a_try_that_failed_sends_the_whole_file_again(folder: Path) -> None:
    (folder / "a").write_bytes(b"picture" * 1000)
    answers = missing(b"picture" * 1000), Answer(hang_up=True), Answer(503), receipts(("w/a", b"picture" * 1000))
    with scripted_server(*answers) as server:
        assert [receipt.status for receipt in send(server, folder)] == ["accepted"]
    assert [request.body.count(b"picture") for request in server.requests[1:]] == [1000] * 3


def test_a_run_that_takes_no_more_ends_the_upload(folder: Path) -> None:
    (folder / "a").write_bytes(b"x")
    closed = Answer(409, {"detail": "Run 7 takes no more files; it is cancelled.", "code": "run_closed"})
    with scripted_server(missing(b"x"), closed) as server, pytest.raises(ClientError, match="takes no more files"):
        send(server, folder)


def test_a_server_that_loses_count_is_not_believed(folder: Path) -> None:
    (folder / "a").write_bytes(b"x")
    with scripted_server(missing(b"x"), receipts()) as server, pytest.raises(ClientError, match="0 receipts for 1"):
        send(server, folder)


def test_files_that_cannot_be_read_are_told_and_the_others_sent(folder: Path) -> None:
    (folder / "a").symlink_to(folder / "nowhere")
    (folder / "b").write_bytes(b"x")
    with scripted_server(missing(b"x"), receipts(("w/b", b"x"))) as server:
        gone, sent = send(server, folder)
    assert (gone.status, gone.code, gone.sha256) == ("rejected", "unreadable", None)
    assert "No such file" in str(gone.reason)
    assert sent.status == "accepted"
