"""The storage protocol and its errors."""

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import BinaryIO, Protocol, Self


class StorageError(Exception):
    """Storage does not answer or refuses; the message says what to check. The call may be tried again."""


class ObjectMissing(StorageError):
    """There is no object under this key."""


class StorageFull(StorageError):
    """There is no room for more."""


def trouble(error: OSError, sentence: str) -> StorageError:
    """The storage's own error for one of the operating system's."""
    return StorageFull(sentence) if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError(sentence)


@dataclass(frozen=True)
class StoredObject:
    """One object as a listing shows it."""

    key: str
    size: int
    modified: datetime
    """When it was last put or kept, in UTC."""


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
        """Move it to its address, durably. An object that is there already stays, and counts as kept at this moment."""
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

    def delete_unless_fresh(self, key: str, since: datetime) -> bool:
        """Delete an object unless somebody put or kept it since that moment. Returns whether it is gone.

        Whoever keeps the same bytes meanwhile either has them spared or stores them anew.
        """
        ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Every object whose key begins with this folder ("originals/"), in no order, without holding the list."""
        ...

    def free_bytes(self) -> int | None:
        """Room that is left; None where the storage does not tell, as S3 does not."""
        ...

    def keeps_versions(self) -> bool | None:
        """Whether what is deleted or replaced stays as an older version; None where the storage does not tell."""
        ...

    def ping(self) -> None:
        """Write, read and delete a small object. Raises StorageError."""
        ...
