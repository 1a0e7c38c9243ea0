"""Making a backup while the system works: rows of one moment, and every object that they name.

Originals are in storage before their rows are committed and do not change, so objects that are copied after the
moment of the rows hold all that the rows name. Containers are the exception, because they are deleted once they are
unpacked: they are copied before, and the moment is taken again where one slipped through.
"""

import fcntl
import gzip
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, select, text

from screening.archives.references import reference_key
from screening.database.engine import Database
from screening.database.migrate import VERSION_TABLE
from screening.database.states import WorkState
from screening.database.tables import Container, Scan
from screening.errors import Conflict
from screening.private_files import PRIVATE_FILE, PRIVATE_FOLDER
from screening.storage import ObjectMissing, Storage, container_key, original_key
from screening.upkeep.backup.manifest import (
    FORMAT,
    OBJECTS,
    POOL,
    ROWS,
    Manifest,
    Part,
    generations,
    part_of,
    read_generations,
)
from screening.upkeep.backup.pool import Pool
from screening.upkeep.backup.rows import one_moment, tables_of, write_rows
from screening.upkeep.ownership import settle_own

FOLDERS = ("checkpoints/", "originals/", "references/", "displays/", "renditions/")
MOMENTS_TRIED = 5


@dataclass(frozen=True)
class Backup:
    """One backup that was made."""

    folder: Path
    manifest: Manifest
    installation: str
    missing: int
    """Originals that rows name and neither storage nor an earlier backup has."""
    damaged: tuple[str, ...]
    """Keys of originals whose bytes are not those of their name; they were left out."""
    removed: int
    """Older backups of this installation that were removed."""
    rotten: int
    """Files of earlier backups that turned out to be damaged; storage was asked for them again."""
    not_pruned: str = ""
    """Why objects that only removed backups had are still there; empty where they are not."""


def make_backup(
    database: Database, storage: Storage, now: datetime, folder: Path, secret: str, keep: int | None = None
) -> Backup:
    """Make one backup in a folder of backups; what an earlier one holds is not copied again.

    secret: the fingerprint of the installation's secret key. keep: so many backups of this installation stay, the
    oldest go first; None for all. Raises Conflict where another backup runs into this folder, where the folder is
    another installation's, or the storage; StorageError or SQLAlchemyError.
    """
    installation = settle_own(database, storage)
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    with _locked(folder):
        _refuse_unless_own(folder, installation, secret)
        pool = Pool(folder)
        _make_private(folder)
        _remove_unfinished(folder)
        partial = folder / f".part-{now:%Y%m%dT%H%M%SZ}"
        try:
            partial.mkdir(mode=PRIVATE_FOLDER)
            (partial / ROWS).mkdir()
            rotten = pool.read_some_again(now.isoformat())
            copying = _Copying(pool, storage, partial)
            revision, tables, missing = _rows_and_objects(database, storage, pool, copying, partial)
            manifest = Manifest(
                format=FORMAT,
                made_at=now.isoformat(),
                revision=revision,
                secret=secret,
                tables=tables,
                objects=part_of(partial / OBJECTS, copying.count),
                objects_bytes=copying.size_bytes,
                installation=installation,
            )
            manifest.write(partial)
            # Everything is on the disk before the backup gets its name, which says that it is complete.
            os.sync()
            pool.save()
            final = folder / f"{now:%Y%m%dT%H%M%SZ}"
            partial.rename(final)
            removed, not_pruned = _forget(folder, pool, final, keep, installation, secret)
            return Backup(final, manifest, installation, missing, tuple(copying.damaged), removed, rotten, not_pruned)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            pool.close()


class _Copying:
    """Copies objects and lists them."""

    def __init__(self, pool: Pool, storage: Storage, partial: Path) -> None:
        self.count = 0
        self.size_bytes = 0
        self.damaged: list[str] = []
        self._pool = pool
        self._storage = storage
        self._list = gzip.open(partial / OBJECTS, "wt", encoding="utf-8")  # noqa: SIM115  closed by `close`

    def copy(self, folder: str) -> None:
        for found in self._storage.list(folder):
            if self._pool.is_listed(found.key) or found.key in self.damaged:
                continue
            try:
                sha256 = self._pool.keep(self._storage, found)
            except ObjectMissing:
                # Removed since it was listed, as containers are and what a clean-up finds.
                continue
            if sha256 is None:
                self.damaged.append(found.key)
                continue
            self._name(found.key, found.size, sha256)

    def add_lost(self, sha256: str) -> bool:
        """Name an original that storage has lost; False where no earlier backup has it either."""
        if not self._pool.has_whole(sha256):
            return False
        self._name(original_key(sha256), self._pool.path(sha256).stat().st_size, sha256)
        return True

    def _name(self, key: str, size: int, sha256: str) -> None:
        self._pool.note_listed(key)
        self._list.write(json.dumps({"key": key, "size": size, "sha256": sha256}) + "\n")
        self.count += 1
        self.size_bytes += size

    def close(self) -> None:
        self._list.close()


def _rows_and_objects(
    database: Database, storage: Storage, pool: Pool, copying: _Copying, partial: Path
) -> tuple[str, dict[str, Part], int]:
    try:
        for attempt in range(1, MOMENTS_TRIED + 1):
            copying.copy("containers/")
            with one_moment(database) as connection:
                if attempt < MOMENTS_TRIED and not _has_containers(connection, storage, pool):
                    continue
                revision = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one()  # noqa: S608
                tables = {}
                for table in tables_of(connection):
                    path = partial / ROWS / f"{table.name}.jsonl.gz"
                    tables[table.name] = part_of(path, write_rows(connection, table, path))
                originals = partial / ".originals"
                _note_originals(connection, originals)
            break
        for folder in FOLDERS:
            copying.copy(folder)
        with originals.open() as stream:
            missing = sum(not _is_kept(pool, copying, line.strip()) for line in stream)
        originals.unlink()
        return str(revision), tables, missing
    finally:
        copying.close()


def _has_containers(connection: Connection, storage: Storage, pool: Pool) -> bool:
    """Whether every container that is still to be unpacked was copied, or lies elsewhere."""
    waiting = select(Container.sha256).where(Container.state.in_((WorkState.WAITING, WorkState.WORKING)))
    keys = [container_key(sha256) for sha256 in connection.scalars(waiting)]
    return all(pool.is_listed(key) or storage.exists(reference_key(key)) for key in keys)


def _note_originals(connection: Connection, path: Path) -> None:
    wanted = select(Scan.sha256).where(Scan.original_removed_at.is_(None))
    with path.open("w") as stream:
        stream.writelines(f"{sha256}\n" for sha256 in connection.scalars(wanted))


def _is_kept(pool: Pool, copying: _Copying, sha256: str) -> bool:
    key = original_key(sha256)
    return pool.is_listed(key) or pool.is_listed(reference_key(key)) or copying.add_lost(sha256)


def _refuse_unless_own(folder: Path, installation: str, secret: str) -> None:
    """A folder belongs to whoever made the latest backup in it."""
    found = read_generations(folder)
    last = max(found, default=None)
    if last is not None and not found[last].is_of(installation, secret):
        raise Conflict(
            "foreign_backups",
            f"{folder} holds backups of another installation, the latest of them {last.name} of {found[last].owner}; "
            f"this is installation {installation[:8]}. Name a folder of its own. Where it was restored from them and "
            "the other is no more, it should have been with `screening restore --take-over`.",
        )


def _make_private(folder: Path) -> None:
    """Close to others what earlier releases left open. The folder itself may be a share: its rights are its owner's."""
    for path in (folder / POOL, folder / "index.db", *generations(folder)):
        with suppress(FileNotFoundError, PermissionError):
            path.chmod(PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE)


def _remove_unfinished(folder: Path) -> None:
    """Remove what backups left behind that were killed."""
    for path in (*folder.glob(".part-*"), *(folder / POOL).glob(".part-*")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _forget(folder: Path, pool: Pool, made: Path, keep: int | None, installation: str, secret: str) -> tuple[int, str]:
    """Remove backups of this installation beyond the number to keep, and the objects that only they had. Returns how
    many backups that were, and why the objects stayed where they did."""
    own = [path for path, manifest in read_generations(folder).items() if manifest.is_of(installation, secret)]
    earlier = [path for path in own if path != made]
    if keep is None or len(earlier) < keep:
        return 0, ""
    old = earlier[: len(earlier) - (keep - 1)]
    for generation in old:
        shutil.rmtree(generation)
    # Whoever else has backups here keeps their objects, whatever they are called.
    others = [path.parent for path in folder.glob(f"[!.]*/{OBJECTS}") if path.parent not in old]
    try:
        pool.prune(others)
    except OSError as error:
        return len(old), str(error)
    return len(old), ""


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                "backup_running", f"Another backup is being made in {folder}. Wait for it, or name another folder."
            ) from None
        yield
    finally:
        os.close(descriptor)
