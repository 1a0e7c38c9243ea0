"""The objects of all backups in one folder: each kept once, under the hash of its bytes."""

import gzip
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from screening.storage import Storage, StoredObject
from screening.upkeep.backup.manifest import CHUNK_BYTES, OBJECTS, POOL, sha256_of

_NAMED_BY_HASH = ("originals/", "containers/")


class Pool:
    """Files below `folder`/objects, and an index that tells what a key held when it was last copied.

    The index is only a shortcut: what it does not know is read again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / POOL
        self._folder.mkdir(parents=True, exist_ok=True)
        for part in range(256):
            (self._folder / f"{part:02x}").mkdir(exist_ok=True)
        self._index = sqlite3.connect(folder / "index.db", isolation_level=None)
        self._index.execute("CREATE TEMP TABLE listed (key TEXT PRIMARY KEY) WITHOUT ROWID")
        self._index.execute("BEGIN")
        self._index.execute(
            "CREATE TABLE IF NOT EXISTS copied (key TEXT PRIMARY KEY, size INTEGER, modified TEXT, sha256 TEXT)"
        )

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

    def has(self, sha256: str) -> bool:
        return self.path(sha256).is_file()

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

    def prune(self, kept: Iterable[Path]) -> int:
        """Remove objects that none of these backups names; returns how many."""
        self._index.execute("BEGIN")
        self._index.execute("CREATE TEMP TABLE named (sha256 TEXT PRIMARY KEY) WITHOUT ROWID")
        for generation in kept:
            names = ((line["sha256"],) for line in read_objects(generation))
            self._index.executemany("INSERT OR IGNORE INTO named VALUES (?)", names)
        removed = 0
        for path in self._folder.glob("??/*"):
            named = self._index.execute("SELECT 1 FROM named WHERE sha256 = ?", (path.name,)).fetchone()
            if named is None:
                path.unlink()
                removed += 1
        self._index.execute("ROLLBACK")
        return removed

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
    return path.is_file() and sha256_of(path) == sha256
