"""Objects in a local folder (or a shared file system)."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from screening.storage.incoming import IncomingFile
from screening.storage.objects import ObjectMissing, StorageError, StoredObject, trouble


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
        try:
            # Also where the object is there already: a clean-up that runs now leaves alone what was kept just now, and
            # bytes that the disk had lost are whole again.
            _move(path, self._path(key))
        except OSError as error:
            raise self._trouble(error) from error

    def put(self, key: str, data: bytes) -> None:
        temporary = self._temporary / f"put-{secrets.token_hex(8)}"
        try:
            self._temporary.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            _move(temporary, self._path(key))
        except OSError as error:
            # On a file system that became read-only even this fails.
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise self._trouble(error) from error

    def get(self, key: str) -> bytes:
        # Without a buffer: what is read whole, once for every scan of a batch, is read in half of the time.
        with self._opened(key), self._path(key).open("rb", buffering=0) as stream:
            return stream.read()

    def open(self, key: str) -> BinaryIO:
        with self._opened(key):
            return self._path(key).open("rb")

    @contextmanager
    def _opened(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise ObjectMissing(f"the object {key} is not in the storage folder") from None
        except OSError as error:
            raise self._trouble(error) from error

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def delete(self, key: str) -> None:
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            raise self._trouble(error) from error

    def delete_unless_fresh(self, key: str, since: datetime) -> bool:
        path = self._path(key)
        aside = self._temporary / f"aside-{secrets.token_hex(8)}"
        try:
            if _modified(path) >= since:
                return False
            self._temporary.mkdir(parents=True, exist_ok=True)
            # Moved first and looked at again: whoever keeps the same bytes from here on stores them anew.
            path.rename(aside)
            if _modified(aside) >= since:
                aside.replace(path)
                return False
            aside.unlink()
        except FileNotFoundError:
            return True
        except OSError as error:
            raise self._trouble(error) from error
        return True

    def list(self, prefix: str) -> Iterator[StoredObject]:
        folders = [self._path(prefix)]
        while folders:
            try:
                with os.scandir(folders.pop()) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(Path(entry.path))
                            continue
                        try:
                            found = entry.stat()
                        except FileNotFoundError:
                            continue
                        key = Path(entry.path).relative_to(self.folder).as_posix()
                        yield StoredObject(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._trouble(error) from error

    def free_bytes(self) -> int | None:
        return free_bytes_of(self.folder)

    def keeps_versions(self) -> bool | None:
        return False

    def ping(self) -> None:
        key = f"tmp/ping-{secrets.token_hex(8)}"
        self.put(key, b"ping")
        self.get(key)
        self.delete(key)

    def _path(self, key: str) -> Path:
        if ".." in key.split("/"):
            raise StorageError(f"the key {key!r} leaves the storage folder")
        return self.folder / key

    def _trouble(self, error: OSError) -> StorageError:
        return trouble(
            error, f"the storage folder {self.folder} does not work ({error.strerror}); check space and rights"
        )


def free_bytes_of(folder: Path) -> int:
    """Free space of the file system on which this folder lies, or would lie. Raises StorageError."""
    there = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    try:
        return shutil.disk_usage(there).free
    except OSError as error:
        raise StorageError(f"the free space of {there} cannot be asked for ({error.strerror})") from error


def _move(path: Path, target: Path) -> None:
    """Rename, into a folder that is made when it turns out not to be there: mostly it is."""
    try:
        path.replace(target)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
