"""Objects in a local folder (or a shared file system)."""

import secrets
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from screening.storage.incoming import IncomingFile
from screening.storage.objects import ObjectMissing, StorageError


class FolderStorage:
    """Keys are paths below `folder`; every object appears by an atomic rename."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._temporary = self.folder / "tmp"

    def receive(self) -> IncomingFile:
        try:
            self._temporary.mkdir(parents=True, exist_ok=True)
            return IncomingFile(self._temporary, self._adopt)
        except OSError as error:
            raise self._trouble(error) from error

    def _adopt(self, path: Path, key: str) -> None:
        target = self._path(key)
        if target.exists():
            return
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        except OSError as error:
            raise self._trouble(error) from error

    def put(self, key: str, data: bytes) -> None:
        temporary = self._temporary / f"put-{secrets.token_hex(8)}"
        try:
            self._temporary.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            target = self._path(key)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(target)
        except OSError as error:
            # On a file system that became read-only even this fails.
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise self._trouble(error) from error

    def get(self, key: str) -> bytes:
        with self.open(key) as stream:
            return stream.read()

    def open(self, key: str) -> BinaryIO:
        try:
            return self._path(key).open("rb")
        except FileNotFoundError:
            raise ObjectMissing(f"the object {key} is not in the storage folder") from None
        except OSError as error:
            raise self._trouble(error) from error

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def ping(self) -> None:
        key = f"tmp/ping-{secrets.token_hex(8)}"
        self.put(key, b"ping")
        self.get(key)
        self.delete(key)

    def _path(self, key: str) -> Path:
        path = self.folder / key
        if ".." in path.parts:
            raise StorageError(f"the key {key!r} leaves the storage folder")
        return path

    def _trouble(self, error: OSError) -> StorageError:
        return StorageError(
            f"the storage folder {self.folder} does not work ({error.strerror}); check space and rights"
        )
