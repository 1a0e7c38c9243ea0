"""The storage protocol and its errors."""

from types import TracebackType
from typing import BinaryIO, Protocol, Self


class StorageError(Exception):
    """Storage does not answer or refuses; the message says what to check. The call may be tried again."""


class ObjectMissing(StorageError):
    """There is no object under this key."""


class Incoming(Protocol):
    """One object being received: hashed while it is written, and gone again unless it is kept."""

    @property
    def sha256(self) -> str:
        """Hex digest of what was written so far."""
        ...

    @property
    def size(self) -> int: ...

    def write(self, chunk: bytes) -> None: ...
    def head(self, size: int) -> bytes:
        """The first bytes that were written."""
        ...

    def keep(self, key: str) -> None:
        """Move it to its address, durably. An object that is there already stays as it is."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Storage(Protocol):
    def receive(self) -> Incoming: ...
    def put(self, key: str, data: bytes) -> None:
        """Write a whole object; readers see the old one or the new one, never a part."""
        ...

    def get(self, key: str) -> bytes:
        """Raises ObjectMissing."""
        ...

    def open(self, key: str) -> BinaryIO:
        """A stream of the object that the caller closes. Raises ObjectMissing."""
        ...

    def exists(self, key: str) -> bool: ...
    def delete(self, key: str) -> None:
        """Deleting what is not there is no error."""
        ...

    def ping(self) -> None:
        """Write, read and delete a small object. Raises StorageError."""
        ...
