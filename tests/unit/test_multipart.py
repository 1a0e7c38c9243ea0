"""Files of a multipart body: names and bytes come out as they were sent, whatever the pieces in which they arrive."""

import io
from pathlib import Path

import pytest

from screening.errors import Refused
from screening.storage.folder import FolderStorage
from tests.integration.web.client import multipart
from web import uploads
from web.problems import TooLarge

EDGE = "edge"


def received(
    tmp_path: Path, body: bytes, boundary: str = EDGE, most_bytes: int = 1 << 20
) -> list[tuple[str, int, bytes]]:
    """Name, size and kept bytes of each file."""
    storage = FolderStorage(tmp_path)
    return [
        (file.name, file.size_bytes, file.incoming.head(1 << 20))
        for file in uploads.receive_files(io.BytesIO(body), boundary, storage, most_bytes)
    ]


def part(headers: bytes, data: bytes) -> bytes:
    return b"--edge\r\nContent-Disposition: form-data; " + headers + b"\r\n\r\n" + data + b"\r\n"


@pytest.mark.parametrize("chunk", [1, 2, 7, 64, 1 << 20])
def test_bytes_that_look_like_boundaries_arrive_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(uploads, "CHUNK_BYTES", chunk)
    files = [
        ("a.dcm", b"\r\n--edg" * 5),
        ("empty", b""),
        ("lines", b"\r\n\r\n--\r\n"),
        ("ends in a return", b"\xff\xd8\xff\r"),
    ]
    body, kind = multipart(files)
    found = received(tmp_path, body, kind.partition("boundary=")[2])
    assert found == [(name, len(data), data) for name, data in files]


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("Hüfte links 髋.dcm".encode(), "Hüfte links 髋.dcm"),
        (b"a %22quoted%22 50%.jpg", 'a "quoted" 50%.jpg'),
        ("Hüfte.dcm".encode("latin-1"), "H\ufffdfte.dcm"),
        (b"n" * 4000 + b".dcm", "n" * 496 + ".dcm"),
        (b"", "unnamed"),
    ],
)
def test_file_names_are_kept(tmp_path: Path, sent: bytes, name: str) -> None:
    body = part(b'name="file"; filename="' + sent + b'"', b"x") + b"--edge--\r\n"
    assert received(tmp_path, body) == [(name, 1, b"x")]


def test_other_parts_are_passed_over(tmp_path: Path) -> None:
    body = part(b'name="note"', b"hello") + part(b'name="file"; filename="a"', b"x") + b"--edge--\r\n"
    assert received(tmp_path, body) == [("a", 1, b"x")]


def test_a_file_over_the_limit_is_counted_and_its_neighbour_kept(tmp_path: Path) -> None:
    body = part(b'name="file"; filename="large"', b"x" * 100) + part(b'name="file"; filename="b"', b"y") + b"--edge--"
    (large, size, _), second = received(tmp_path, body, most_bytes=10)
    assert (large, size) == ("large", 100)
    assert second == ("b", 1, b"y")


def test_too_many_parts_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_PARTS", 2)
    body = part(b'name="file"; filename="a"', b"x") * 3 + b"--edge--\r\n"
    with pytest.raises(TooLarge, match="Send fewer files"):
        received(tmp_path, body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"--edge--\r\n",
        part(b'name="file"; filename="a"', b"cut"),
        part(b'name="note"', b"no file") + b"--edge--\r\n",
        b"--edge\r\nno header\r\n\r\nx\r\n--edge--\r\n",
    ],
)
def test_a_body_that_is_no_multipart_is_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(Refused, match=r"\. Send "):
        received(tmp_path, body)
