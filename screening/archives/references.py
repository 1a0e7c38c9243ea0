"""Originals that stay where they are: storage that keeps a reference in place of the bytes.

A reference is a small JSON object with the address of a file and of the archive that it is in. The bytes are hashed
whenever they are read, so that a file which was changed in its archive is never taken for the scan that it was. They
are read piece by piece: a container may be larger than the memory is.
"""

import hashlib
import io
import json
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self
from urllib.parse import unquote

from screening.archives.walking import CHUNK, read_address, walk
from screening.storage.backends import open_storage
from screening.storage.objects import Incoming, ObjectMissing, Storage, StorageError, StoredObject

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

AWAY_FOR_S = 30.0
"""An archive that was away is not asked again for so long: thousands of its files may be wanted meanwhile."""
_AWAY = "the archive {} does not answer, or is not mounted; its files wait until it is back"
_REFERABLE = ("originals/", "containers/")


class ArchiveAway(StorageError):
    """The archive that holds a file does not answer, or is not mounted; the file is not to blame."""


def reference_key(key: str) -> str:
    return f"references/{key}"


class WithReferences:
    """A storage in which an original or container that is not there may be a reference to a file elsewhere."""

    def __init__(self, base: Storage) -> None:
        self.base = base
        self._away_since: dict[str, float] = {}

    def receive(self) -> Incoming:
        return self.base.receive()

    def put(self, key: str, data: bytes) -> None:
        self.base.put(key, data)

    def get(self, key: str) -> bytes:
        try:
            return self.base.get(key)
        except ObjectMissing:
            if not key.startswith(_REFERABLE):
                raise
            with self._referred(key) as stream:
                return stream.readall()

    def open(self, key: str) -> BinaryIO:
        """As of every storage. At the end of a file elsewhere that is another one now, reading raises ObjectMissing:
        nothing of it may be used before."""
        try:
            return self.base.open(key)
        except ObjectMissing:
            if not key.startswith(_REFERABLE):
                raise
            return io.BufferedReader(self._referred(key), CHUNK)

    def _referred(self, key: str) -> "_Referred":
        reference = json.loads(self.base.get(reference_key(key)))
        # References of before do not name their archive.
        address, archive = reference["address"], reference.get("archive", "")
        if time.monotonic() - self._away_since.get(archive, -AWAY_FOR_S) < AWAY_FOR_S:
            raise ArchiveAway(_AWAY.format(archive))
        return _Referred(self._pieces(address, archive), key.rpartition("/")[2], address)

    def _pieces(self, address: str, archive: str) -> Generator[bytes, None, None]:
        try:
            yield from read_address(address)
        except StorageError as error:
            if not archive or _has_files(archive):
                raise
            self._away_since[archive] = time.monotonic()
            raise ArchiveAway(_AWAY.format(archive)) from error

    def exists(self, key: str) -> bool:
        return self.base.exists(key) or (key.startswith(_REFERABLE) and self.base.exists(reference_key(key)))

    def delete(self, key: str) -> None:
        self.base.delete(key)
        if key.startswith(_REFERABLE):
            self.base.delete(reference_key(key))

    def delete_unless_fresh(self, key: str, since: datetime) -> bool:
        """Of the bytes or of the reference, whichever this key names; a reference is listed under a key of its own."""
        return self.base.delete_unless_fresh(key, since)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        return self.base.list(prefix)

    def free_bytes(self) -> int | None:
        return self.base.free_bytes()

    def keeps_versions(self) -> bool | None:
        return self.base.keeps_versions()

    def ping(self) -> None:
        self.base.ping()


class _Referred(io.RawIOBase):
    """A file elsewhere as a stream, which raises ObjectMissing at its end where it is not what it was."""

    def __init__(self, pieces: Generator[bytes, None, None], sha256: str, address: str) -> None:
        """Reads the first piece at once, so that a file that is gone is told at once. Raises as reading does."""
        self._pieces = pieces
        self._sha256 = sha256
        self._address = address
        self._hash = hashlib.sha256()
        self._held = memoryview(self._next())

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        wanted = memoryview(buffer).cast("B")
        held = self._held or memoryview(self._next())
        count = min(len(wanted), len(held))
        wanted[:count] = held[:count]
        self._held = held[count:]
        return count

    def readall(self) -> bytes:
        pieces: list[bytes | memoryview] = [self._held]
        while piece := self._next():
            pieces.append(piece)
        self._held = memoryview(b"")
        return b"".join(pieces)

    def close(self) -> None:
        self._pieces.close()
        super().close()

    def _next(self) -> bytes:
        """The next piece, or nothing at the end of the right bytes."""
        piece = next(self._pieces, b"")
        self._hash.update(piece)
        if not piece and self._hash.hexdigest() != self._sha256:
            raise ObjectMissing(f"the file at {self._address} is another one now")
        return piece


class IncomingReference:
    """A file of an archive, read once to be hashed; `keep` stores where it is instead of what it holds."""

    def __init__(self, storage: Storage, archive: str, address: str, head_size: int) -> None:
        self._storage = storage
        self._reference = {"address": address, "archive": archive}
        self._head_size = head_size
        self._head = b""
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        if len(self._head) < self._head_size:
            self._head += chunk[: self._head_size - len(self._head)]
        self._hash.update(chunk)
        self.size += len(chunk)

    def head(self, size: int) -> bytes:
        return self._head[:size]

    def keep(self, key: str) -> None:
        # Put even where one is there: it counts as kept at this moment, and a clean-up leaves it alone.
        self._storage.put(reference_key(key), json.dumps(self._reference).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""


def _has_files(archive: str) -> bool:
    """Whether an archive answers and holds anything: the folder of one that is not mounted is gone, or empty."""
    try:
        if archive.startswith("s3:"):
            return next(open_storage(unquote(archive)).list(""), None) is not None
        with closing(walk(archive)) as files:
            return next(files, None) is not None
    except StorageError:
        return False


def fill(incoming: Incoming, chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        incoming.write(chunk)
