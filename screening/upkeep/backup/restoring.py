"""Bringing a backup into an empty installation: objects first, then all rows in one transaction."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import inspect, select

from screening import audit
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
from screening.upkeep.backup.pool import object_is_whole, read_objects
from screening.upkeep.backup.rows import insert_rows, tables_of


@dataclass(frozen=True)
class Restored:
    manifest: Manifest
    rows: int
    objects: int
    damaged: tuple[str, ...]
    """Objects that the backup does not have whole; they were left out."""


def check_backup(folder: Path) -> Restored:
    """Read a whole backup and compare every hash; nothing is changed. Raises BackupDamaged for damaged rows."""
    generation, manifest = _open(folder)
    objects, damaged = 0, []
    for item in read_objects(generation):
        objects += 1
        if not object_is_whole(_pooled(generation, item["sha256"]), item["sha256"]):
            damaged.append(item["key"])
    return Restored(manifest, sum(part.lines for part in manifest.tables.values()), objects, tuple(damaged))


def restore(folder: Path, database: Database, storage: Storage, now: datetime, actor: str) -> Restored:
    """Restore the backup in `folder`, or the latest of several, and bring it to the schema of this release.

    Objects that are damaged in the backup are left out and named, because the rest is better than nothing. Raises
    Conflict where the installation is not empty, BackupDamaged, MigrationError or StorageError; the database is then
    as empty as before.
    """
    generation, manifest = _open(folder)
    _refuse_unless_empty(database)
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
        audit.record(session, now, actor, "backup.restored", generation.name, detail)
    return Restored(manifest, rows, objects, tuple(damaged))


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
    """Stream one object into storage; False, and nothing is kept, where its bytes are not whole."""
    if not path.is_file():
        return False
    with storage.receive() as incoming, path.open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            incoming.write(chunk)
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
