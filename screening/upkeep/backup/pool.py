"""The objects of all backups in one folder: each kept once, under the hash of its bytes."""

import gzip
import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from screening.private_files import PRIVATE_FOLDER
from screening.storage import Storage, StoredObject
from screening.upkeep.backup.manifest import CHUNK_BYTES, DAMAGED, OBJECTS, POOL, sha256_of

PARTS_READ_AGAIN = 8
"""Of 256: each backup reads so many parts of the pool again, so that nightly ones have read all of it in a month."""
_NAMED_BY_HASH = ("originals/", "containers/")


class Pool:
    """Files below `folder`/objects, and an index that tells what a key held when it was last copied.

    The index is only a shortcut: what it does not know is read again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / POOL
        self._folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        for part in range(256):
            (self._folder / f"{part:02x}").mkdir(exist_ok=True)
        self._index = sqlite3.connect(folder / "index.db", isolation_level=None)
        self._index.execute("CREATE TEMP TABLE listed (key TEXT PRIMARY KEY) WITHOUT ROWID")
        self._index.execute("BEGIN")
        self._index.execute(
            "CREATE TABLE IF NOT EXISTS copied (key TEXT PRIMARY KEY, size INTEGER, modified TEXT, sha256 TEXT)"
        )
        self._index.execute("CREATE TABLE IF NOT EXISTS read_again (part TEXT PRIMARY KEY, at TEXT)")

    def note_listed(self, key: str) -> None:
        self._index.execute("INSERT OR IGNORE INTO listed VALUES (?)", (key,))

    def is_listed(self, key: str) -> bool:
        """Whether the backup that is being made names this key already."""
        return self._index.execute("SELECT 1 FROM listed WHERE key = ?", (key,)).fetchone() is not None

    def save(self) -> None:
        """Have the next backup know what this one copied; called when that is on the disk."""
        self._index.execute("COMMIT")

    def close(self) -> None:
        self._index.close()

    def path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def has_whole(self, sha256: str) -> bool:
        """Whether the pool has these bytes, read to the end; a damaged file is set aside."""
        path = self.path(sha256)
        return path.is_file() and not set_aside_if_damaged(path)

    def read_some_again(self, now: str) -> int:
        """Read the parts of the pool that were not read for longest, and set aside what is damaged: the backup that is
        being made copies it again. Returns how many files that were."""
        at = dict(self._index.execute("SELECT part, at FROM read_again"))
        parts = sorted((f"{part:02x}" for part in range(256)), key=lambda part: (at.get(part, ""), part))
        damaged = 0
        for part in parts[:PARTS_READ_AGAIN]:
            damaged += sum(set_aside_if_damaged(path) for path in list((self._folder / part).iterdir()))
            self._index.execute("INSERT OR REPLACE INTO read_again VALUES (?, ?)", (part, now))
        return damaged

    def keep(self, storage: Storage, found: StoredObject) -> str | None:
        """Copy an object unless it was copied before: the hash of its bytes.

        None for an original whose bytes are not those of its name. Raises StorageError, ObjectMissing among them.
        """
        known = self._known(found)
        if known is not None and self._is_whole(known, found.size):
            return known
        sha256 = self._copy(storage, found.key)
        if found.key.startswith(_NAMED_BY_HASH) and sha256 != found.key.rpartition("/")[2]:
            return None
        self._index.execute(
            "INSERT OR REPLACE INTO copied VALUES (?, ?, ?, ?)",
            (found.key, found.size, found.modified.isoformat(), sha256),
        )
        return sha256

    def prune(self, kept: Iterable[Path]) -> None:
        """Remove objects that none of these backups names. Raises OSError where they cannot be removed, and removes
        none where the list of one cannot be read, since nobody can tell then what it names."""
        self._index.execute("BEGIN")
        self._index.execute("CREATE TEMP TABLE named (sha256 TEXT PRIMARY KEY) WITHOUT ROWID")
        for generation in kept:
            names = ((line["sha256"],) for line in read_objects(generation))
            try:
                self._index.executemany("INSERT OR IGNORE INTO named VALUES (?)", names)
            except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as error:
                raise OSError(f"{generation / OBJECTS} cannot be read") from error
        for path in chain(self._folder.glob("??/*"), self._folder.parent.glob(f"{DAMAGED}/*")):
            named = self._index.execute("SELECT 1 FROM named WHERE sha256 = ?", (path.name,)).fetchone()
            if named is None:
                path.unlink()
        self._index.execute("ROLLBACK")

    def _known(self, found: StoredObject) -> str | None:
        if found.key.startswith(_NAMED_BY_HASH):
            return found.key.rpartition("/")[2]
        row = self._index.execute(
            "SELECT sha256 FROM copied WHERE key = ? AND size = ? AND modified = ?",
            (found.key, found.size, found.modified.isoformat()),
        ).fetchone()
        return str(row[0]) if row else None

    def _is_whole(self, sha256: str, size: int) -> bool:
        try:
            return self.path(sha256).stat().st_size == size
        except FileNotFoundError:
            return False

    def _copy(self, storage: Storage, key: str) -> str:
        partial = self._folder / f".part-{os.getpid()}"
        digest = hashlib.sha256()
        try:
            with closing(storage.open(key)) as source, partial.open("wb") as target:
                while chunk := source.read(CHUNK_BYTES):
                    digest.update(chunk)
                    target.write(chunk)
            partial.replace(self.path(digest.hexdigest()))
        finally:
            with suppress(FileNotFoundError):
                partial.unlink()
        return digest.hexdigest()


def read_objects(generation: Path) -> Iterator[dict[str, Any]]:
    """Key, size and hash of every object of a backup."""
    with gzip.open(generation / OBJECTS, "rt", encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def object_is_whole(path: Path, sha256: str) -> bool:
    """One that the disk does not give to the end is not."""
    try:
        return path.is_file() and sha256_of(path) == sha256
    except OSError:
        return False


def set_aside_if_damaged(path: Path) -> bool:
    """Move a file of the pool away whose bytes are not those of its name, or cannot be read, so that the next backup
    copies them again.

    Returns whether it is damaged; raises OSError where it cannot be moved.
    """
    if object_is_whole(path, path.name):
        return False
    aside = path.parents[2] / DAMAGED
    aside.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    path.replace(aside / path.name)
    return True
