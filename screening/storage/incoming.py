"""Receiving an object of unknown length: hashed while it streams to a temporary file."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from screening.storage.objects import StorageError, trouble


class IncomingFile:
    """A temporary file that `keep` hands to the storage under a key, and that is removed otherwise."""

    def __init__(self, folder: Path | None, deliver: Callable[[Path, str], None]) -> None:
        self._deliver = deliver
        descriptor, name = tempfile.mkstemp(prefix="incoming-", dir=folder)
        self._path = Path(name)
        self._stream = os.fdopen(descriptor, "w+b")
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        try:
            self._stream.write(chunk)
        except OSError as error:
            raise self._trouble(error) from error
        self._hash.update(chunk)
        self.size += len(chunk)

    def head(self, size: int) -> bytes:
        try:
            # Going back writes what is still buffered, which is where a full disk tells of itself.
            self._stream.seek(0)
            first = self._stream.read(size)
            self._stream.seek(0, os.SEEK_END)
        except OSError as error:
            raise self._trouble(error) from error
        return first

    def keep(self, key: str) -> None:
        try:
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise self._trouble(error) from error
        self._deliver(self._path, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing writes what is still buffered, which fails on a full disk; the file goes away all the same, unless the
        # disk takes no change any more. What went wrong was told before.
        with suppress(OSError):
            self._stream.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _trouble(self, error: OSError) -> StorageError:
        return trouble(error, f"{self._path} cannot be written ({error.strerror}); check the free space")
