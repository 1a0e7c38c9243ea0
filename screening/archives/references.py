"""Originals that stay where they are: storage that keeps a reference in place of the bytes.

A reference is a small JSON object with the address of a file. Its bytes are hashed whenever they are read, so that a
file which was changed in its archive is never taken for the scan that it was.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from types import TracebackType
from typing import BinaryIO, Self

from screening.archives.walking import read_address
from screening.storage.objects import Incoming, ObjectMissing, Storage, StoredObject

_REFERABLE = ("originals/", "containers/")


def reference_key(key: str) -> str:
    return f"references/{key}"


class WithReferences:
    """A storage in which an original or container that is not there may be a reference to a file elsewhere."""

    def __init__(self, base: Storage) -> None:
        self.base = base

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
            return self._referred(key)

    def open(self, key: str) -> BinaryIO:
        try:
            return self.base.open(key)
        except ObjectMissing:
            if not key.startswith(_REFERABLE):
                raise
            return io.BytesIO(self._referred(key))

    def _referred(self, key: str) -> bytes:
        address = json.loads(self.base.get(reference_key(key)))["address"]
        data = b"".join(read_address(address))
        if hashlib.sha256(data).hexdigest() != key.rpartition("/")[2]:
            raise ObjectMissing(f"the file at {address} is another one now")
        return data

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

    def ping(self) -> None:
        self.base.ping()


class IncomingReference:
    """A file elsewhere, read once to be hashed; `keep` stores where it is instead of what it holds."""

    def __init__(self, storage: Storage, address: str, head_size: int) -> None:
        self._storage = storage
        self._address = address
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
        self._storage.put(reference_key(key), json.dumps({"address": self._address}).encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""


def fill(incoming: Incoming, chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        incoming.write(chunk)
