"""Bringing a backup into an empty installation: objects first, then all rows in one transaction."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import inspect, select

from screening import accounts, audit
from screening.database.engine import Database
from screening.database.migrate import VERSION_TABLE, upgrade
from screening.errors import Conflict
from screening.storage import Storage
from screening.upkeep.backup.manifest import (
    CHUNK_BYTES,
    OBJECTS,
    POOL,
    ROWS,
    Manifest,
    check_part,
    latest,
    read_manifest,
)
from screening.upkeep.backup.pool import object_is_whole, read_objects, set_aside_if_damaged
from screening.upkeep.backup.rows import insert_rows, tables_of
from screening.upkeep.clean_up import unknown_originals
from screening.upkeep.ownership import Marker, new_id, read_marker, set_installation_id, short, write_marker


@dataclass(frozen=True)
class Restored:
    manifest: Manifest
    rows: int
    objects: int
    damaged: tuple[str, ...]
    """Objects that the backup does not have whole; they were left out."""
    installation: str = ""
    """The id that the restored installation has."""
    not_in_backup: int = 0
    """Originals in a storage that was taken over that the backup does not know."""


def check_backup(folder: Path) -> Restored:
    """Read a whole backup and compare every hash. Raises BackupDamaged for damaged rows.

    Objects that are damaged are moved aside, where the folder can be written, so that the next backup copies them
    again.
    """
    generation, manifest = _open(folder)
    objects, damaged = 0, []
    for item in read_objects(generation):
        objects += 1
        path = _pooled(generation, item["sha256"])
        if not object_is_whole(path, item["sha256"]):
            damaged.append(item["key"])
            with suppress(OSError):
                set_aside_if_damaged(path)
    return Restored(manifest, sum(part.lines for part in manifest.tables.values()), objects, tuple(damaged))


def restore(
    folder: Path, database: Database, storage: Storage, now: datetime, actor: str, *, take_over: bool = False
) -> Restored:
    """Restore the backup in `folder`, or the latest of several, and bring it to the schema of this release.

    Objects that are in storage already stay as they are. Those that are damaged in the backup are left out and named,
    because the rest is better than nothing. take_over: the installation of the backup is no more, and the restored one
    takes its id, and goes on in its storage and its folder of backups; else it is a copy with an id of its own, and the
    storage must be empty. Links to sign in by that were not used yet are void from then on. Raises Conflict where
    database or storage are not empty, BackupDamaged, MigrationError or StorageError; the database is then as empty as
    before.
    """
    generation, manifest = _open(folder)
    _refuse_unless_empty(database)
    own = _begin(storage, manifest, take_over=take_over)
    # Rows go into the schema that they were written from, and are migrated as those of any older installation.
    upgrade(database.url.render_as_string(hide_password=False), manifest.revision)
    objects, damaged = 0, []
    for item in read_objects(generation):
        if _restore_object(storage, _pooled(generation, item["sha256"]), item["key"], item["sha256"]):
            objects += 1
        else:
            damaged.append(item["key"])
    rows = _restore_rows(database, generation, manifest)
    upgrade(database.url.render_as_string(hide_password=False))
    detail = {"made_at": manifest.made_at, "rows": rows, "objects": objects, "damaged": len(damaged)}
    with database.write() as session:
        set_installation_id(session, own, anew=True)
        accounts.void_sign_in_links(session, now)
        audit.record(session, now, actor, "backup.restored", generation.name, detail)
    write_marker(storage, Marker(own))
    unknown = sum(map(len, unknown_originals(database, storage))) if take_over else 0
    return Restored(manifest, rows, objects, tuple(damaged), own, unknown)


def _begin(storage: Storage, manifest: Manifest, *, take_over: bool) -> str:
    """The id of the restored installation, when this storage may be restored into. Raises Conflict."""
    marker = read_marker(storage)
    if marker is not None and marker.restoring:
        if not take_over:
            return marker.installation
    elif marker is not None and take_over:
        # An old backup has no id: then it is as the caller says.
        if manifest.installation in (None, marker.installation):
            return marker.installation
        raise Conflict(
            "foreign_storage",
            f"The storage is that of another installation ({short(marker.installation)}) than the backup "
            f"({short(manifest.installation)}). Name an empty storage, or that of the installation of the backup.",
        )
    elif not take_over and (marker is not None or _holds_anything(storage)):
        raise Conflict(
            "storage_not_empty",
            "The storage is not empty. A copy of an installation needs a storage of its own: name an empty folder or "
            "prefix. Only where the installation of the backup is no more, and nothing else uses its storage, call it "
            "with --take-over, which goes on in that storage.",
        )
    if take_over:
        return manifest.installation or new_id()
    own = new_id()
    # From here on nothing else takes this storage for its own, and the same call goes on after a failure.
    write_marker(storage, Marker(own, restoring=True))
    return own


def _holds_anything(storage: Storage) -> bool:
    return any(not found.key.startswith("tmp/") for found in storage.list(""))


def _open(folder: Path) -> tuple[Path, Manifest]:
    generation = latest(folder)
    manifest = read_manifest(generation)
    check_part(generation / OBJECTS, manifest.objects)
    for name, part in manifest.tables.items():
        check_part(generation / ROWS / f"{name}.jsonl.gz", part)
    return generation, manifest


def _pooled(generation: Path, sha256: str) -> Path:
    return generation.parent / POOL / sha256[:2] / sha256


def _refuse_unless_empty(database: Database) -> None:
    with database.engine.connect() as connection:
        if not inspect(connection).has_table(VERSION_TABLE):
            return
        for table in tables_of(connection):
            if connection.execute(select(table).limit(1)).first() is not None:
                raise Conflict(
                    "not_empty",
                    "The database is not empty, and a backup is only restored into an empty one. "
                    "Name a new data folder or database.",
                )


def _restore_object(storage: Storage, path: Path, key: str, sha256: str) -> bool:
    """Stream one object into storage unless it is there; False, and nothing is kept, where its bytes are not whole."""
    if storage.exists(key):
        return True
    with storage.receive() as incoming:
        try:
            with path.open("rb") as source:
                while chunk := source.read(CHUNK_BYTES):
                    incoming.write(chunk)
        except OSError:
            return False
        if incoming.sha256 != sha256:
            return False
        incoming.keep(key)
    return True


def _restore_rows(database: Database, generation: Path, manifest: Manifest) -> int:
    with database.write() as session:
        connection = session.connection()
        return sum(
            insert_rows(connection, table, generation / ROWS / f"{table.name}.jsonl.gz")
            for table in tables_of(connection)
            if table.name in manifest.tables
        )
