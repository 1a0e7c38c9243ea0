"""Both kinds of storage keep the same promises: whole objects, content addresses, clear errors."""

import errno
import hashlib
import io
import shutil
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from screening.archives.walking import read_address
from screening.storage import ObjectMissing, Storage, StorageError, StorageFull, open_storage, original_key
from tests.installation import wait_until


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    url = f"file://{tmp_path}/objects" if request.param == "folder" else request.getfixturevalue("s3_url")
    return open_storage(url)


def test_what_is_received_lies_under_its_hash(storage: Storage) -> None:
    data = b"pixels" * 100_000
    with storage.receive() as incoming:
        incoming.write(data[:1000])
        incoming.write(data[1000:])
        assert incoming.head(4) == b"pixe"
        assert incoming.size == len(data)
        assert incoming.sha256 == hashlib.sha256(data).hexdigest()
        key = original_key(incoming.sha256)
        incoming.keep(key)
    assert storage.get(key) == data
    with storage.open(key) as stream:
        assert stream.read(6) == b"pixels"


def test_what_is_not_kept_leaves_nothing_behind(tmp_path: Path) -> None:
    storage = open_storage(f"file://{tmp_path}/objects")
    with pytest.raises(RuntimeError), storage.receive() as incoming:
        incoming.write(b"half")
        raise RuntimeError("the connection was cut")
    assert [path for path in (tmp_path / "objects").rglob("*") if path.is_file()] == []


def test_keeping_the_same_bytes_twice_keeps_the_first(storage: Storage) -> None:
    for _ in range(2):
        with storage.receive() as incoming:
            incoming.write(b"same")
            incoming.keep("originals/x")
    assert storage.get("originals/x") == b"same"


def test_bytes_that_a_disk_had_lost_are_whole_again_when_they_are_sent_again(tmp_path: Path) -> None:
    storage = open_storage(f"file://{tmp_path}/objects")
    storage.put("originals/x", b"s\0\0e")
    with storage.receive() as incoming:
        incoming.write(b"same")
        incoming.keep("originals/x")
    assert storage.get("originals/x") == b"same"


def test_put_replaces_and_delete_is_idempotent(storage: Storage) -> None:
    storage.put("renditions/a.png", b"one")
    storage.put("renditions/a.png", b"two")
    assert storage.get("renditions/a.png") == b"two"
    storage.delete("renditions/a.png")
    storage.delete("renditions/a.png")
    assert not storage.exists("renditions/a.png")
    with pytest.raises(ObjectMissing, match=r"renditions/a\.png"):
        storage.get("renditions/a.png")


def test_an_opened_object_is_read_as_any_file_is(storage: Storage) -> None:
    storage.put("originals/x", b"first line\nsecond line\n" * 100)
    copy = io.BytesIO()
    with closing(storage.open("originals/x")) as stream:
        shutil.copyfileobj(stream, copy)
    assert copy.getvalue() == storage.get("originals/x")
    with storage.open("originals/x") as stream:
        assert stream.readline() == b"first line\n"
        assert len(list(stream)) == 199
    assert stream.closed


def test_ping_works(storage: Storage) -> None:
    storage.ping()


def test_a_bucket_that_is_not_there_is_named(s3_url: str) -> None:
    storage = open_storage(s3_url.replace("s3://bucket-", "s3://absent-"))
    with pytest.raises(StorageError, match="absent-"):
        storage.ping()


@contextmanager
def refusing_server(status: int, code: str) -> Iterator[str]:
    """An S3 server that has no object and takes none: the URL of a bucket of it."""

    class Refusing(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            copies = "x-amz-copy-source" in self.headers
            said, why = (404, "NoSuchKey") if copies else (status, code)
            body = f"<?xml version='1.0'?><Error><Code>{why}</Code><Message>no</Message></Error>".encode()
            self.send_response(said)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    with bucket_of(Refusing) as url:
        yield url


@contextmanager
def bucket_of(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"s3://bucket/some/prefix?endpoint=http://127.0.0.1:{server.server_port}&region=us-east-1"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "AccessDenied", StorageError),
        (400, "EntityTooLarge", StorageError),
        (403, "QuotaExceeded", StorageFull),
        (400, "XMinioAdminBucketQuotaExceeded", StorageFull),
        (507, "XMinioStorageFull", StorageFull),
        (507, "SomethingOfItsOwn", StorageFull),
    ],
)
def test_a_refused_upload_is_trouble_of_the_storage_and_a_full_one_is_told_apart(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str, kind: type[StorageError]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with refusing_server(status, code) as url:
        storage = open_storage(url)
        with pytest.raises(StorageError, match=code) as put:
            storage.put("renditions/x", b"1")
        with pytest.raises(StorageError, match=code) as kept, storage.receive() as incoming:
            incoming.write(b"1")
            incoming.keep("originals/x")
    assert (put.type, kept.type) == (kind, kind)


class CuttingShort(BaseHTTPRequestHandler):
    """An S3 server whose connections end in the middle of every object."""

    reset = False

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(b"half" * 10_000)
        self.wfile.flush()
        if self.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


class Resetting(CuttingShort):
    reset = True


@pytest.mark.parametrize("server", [CuttingShort, Resetting])
def test_an_object_that_ends_too_early_is_trouble_of_the_storage(
    monkeypatch: pytest.MonkeyPatch, server: type[BaseHTTPRequestHandler]
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with bucket_of(server) as url:
        storage = open_storage(url)
        with pytest.raises(StorageError, match="bucket"):
            storage.get("originals/x")
        with pytest.raises(StorageError, match="bucket"), storage.open("originals/x") as stream:
            shutil.copyfileobj(stream, io.BytesIO())
        with pytest.raises(StorageError, match="bucket"), closing(storage.open("originals/x")) as stream:
            stream.read()
        with pytest.raises(StorageError, match="bucket"):
            b"".join(read_address(url.replace("some/prefix", "some/original.png")))


def test_a_key_cannot_leave_the_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="leaves the storage folder"):
        open_storage(f"file://{tmp_path}").get("../secret")


@pytest.mark.parametrize("url", ["", "/plain/path", "ftp://host/x", "s3:///no-bucket"])
def test_an_unknown_url_is_refused_with_what_to_use(url: str) -> None:
    with pytest.raises(StorageError, match="use file:///folder or s3://bucket"):
        open_storage(url)


def test_a_listing_shows_every_object_below_a_folder_with_size_and_time(storage: Storage) -> None:
    storage.put("originals/aa/bb/one", b"1")
    storage.put("originals/cc/dd/two", b"22")
    storage.put("renditions/x/three", b"333")
    before = datetime.now(UTC) - timedelta(minutes=5)
    listed = {found.key: found for found in storage.list("originals/")}
    assert {key: found.size for key, found in listed.items()} == {"originals/aa/bb/one": 1, "originals/cc/dd/two": 2}
    assert all(before < found.modified <= datetime.now(UTC) + timedelta(minutes=5) for found in listed.values())
    assert list(storage.list("displays/")) == []


def test_what_was_kept_again_is_fresh_and_is_not_deleted(storage: Storage) -> None:
    storage.put("originals/x", b"same")
    written = next(storage.list("originals/")).modified
    # A bucket tells whole seconds.
    wait_until(lambda: datetime.now(UTC) > written + timedelta(seconds=1.1), 10, "the next second")
    with storage.receive() as incoming:
        incoming.write(b"same")
        incoming.keep("originals/x")
    assert not storage.delete_unless_fresh("originals/x", written + timedelta(milliseconds=1))
    assert storage.get("originals/x") == b"same"
    assert storage.delete_unless_fresh("originals/x", datetime.now(UTC) + timedelta(hours=1))
    assert not storage.exists("originals/x")
    assert storage.delete_unless_fresh("originals/x", datetime.now(UTC)), "what is not there is gone"


def test_a_full_disk_is_told_apart_from_other_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = open_storage(f"file://{tmp_path}/objects")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageFull, match="check space"):
        storage.put("renditions/x", b"1")


def test_a_disk_that_is_full_is_told_as_trouble_of_the_storage(tmp_path: Path) -> None:
    # /dev/full takes nothing; what is still buffered is written when the beginning is looked at.
    incoming = open_storage(f"file://{tmp_path}").receive()
    incoming._stream.close()
    with Path("/dev/full").open("r+b") as full, pytest.raises(StorageError, match="No space left"), incoming:
        incoming._stream = full
        incoming.write(b"a few bytes")
        incoming.head(4)


def test_a_disk_that_takes_no_change_any_more_is_told_as_trouble_of_the_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    storage = open_storage(f"file://{tmp_path}")
    storage.put("some/object", b"old")
    incoming = storage.receive()
    for name in ("write_bytes", "unlink", "mkdir", "replace"):
        monkeypatch.setattr(Path, name, refuse)
    with pytest.raises(StorageError, match="Read-only"):
        storage.put("some/object", b"new")
    with pytest.raises(StorageError, match="Read-only"), incoming:
        incoming.write(b"a few bytes")
        incoming.keep(original_key(incoming.sha256))
    assert storage.get("some/object") == b"old"
