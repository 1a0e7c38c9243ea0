"""A visit of an archive: every file that was not seen as it is now is read, hashed and admitted to a run.

So is one whose scan was found to be without its original: it was away for a moment, and is there again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

import structlog
from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from screening.archives.filling import actor_of, run_to_fill, submit_runs_of
from screening.archives.references import IncomingReference, fill
from screening.archives.walking import FoundFile, read_address, walk
from screening.database.inserting import insert_into
from screening.database.schedule_tables import Archive, ArchiveFile
from screening.database.states import WorkState
from screening.database.tables import Rendition, Scan
from screening.database.transactions import committed
from screening.ledger.lease import Lease
from screening.ledger.reviving import ORIGINAL_MISSING_CODE
from screening.queue import QueueName
from screening.radiographs.problems import Unscreenable
from screening.radiographs.sniff import HEAD_BYTES
from screening.runs.admission import Receipted
from screening.runs.intake import Arrival, admit_arrivals, look_at
from screening.storage import ObjectMissing, StorageError
from screening.system import System

log = structlog.get_logger()

LOOKED_UP_AT_ONCE = 200
ADMITTED_AT_ONCE = 16
SETTLED_AFTER_S = 60
"""A file that was written to a moment ago may not be whole yet; the next visit takes it."""
MIB = 1 << 20


@dataclass(frozen=True)
class Visited:
    found: int
    admitted: int
    refused: int
    whole: bool
    """False where it was asked to stop; the rest is for the next visit."""


def visit(
    system: System, archive: Archive, lease: Lease, should_stop: Callable[[], bool], chunk: int = LOOKED_UP_AT_ONCE
) -> Visited:
    """Walk an archive and admit what is new to one run of the lane archive, which is submitted at the end.

    A visit that was cut short left its run open; the next one goes on with it. Where another checkpoint is activated
    meanwhile, a run for that one goes on from there. Raises StorageError where the archive or the storage does not
    answer, Conflict where no checkpoint is active, Full where there is no room for its files.
    """
    found = admitted = refused = 0
    run_id: int | None = None
    with closing(walk(archive.url)) as files:
        for several in _batches(files, chunk):
            found += len(several)
            for fresh in _batches(_not_seen(system, archive, several), ADMITTED_AT_ONCE):
                if should_stop():
                    return Visited(found, admitted, refused, whole=False)
                if not archive.in_place:
                    system.capacity.check_space(sum(file.size for file in fresh))
                run_id = run_to_fill(system, archive, lease, run_id)
                if run_id is None:
                    return Visited(found, admitted, refused, whole=False)
                receipts = _admit(system, archive, run_id, fresh)
                refused += sum(receipt.status == "rejected" for receipt in receipts)
                admitted += sum(receipt.status != "rejected" for receipt in receipts)
                system.waker.wake(QueueName.PREPARE)
            if not _count(system, lease, found, admitted, refused):
                return Visited(found, admitted, refused, whole=False)
    committed(
        system.database,
        lambda session: submit_runs_of(session, system.clock(), archive.id, actor_of(archive.id)),
    )
    return Visited(found, admitted, refused, whole=True)


def _batches(files: Iterator[FoundFile], size: int) -> Iterator[list[FoundFile]]:
    while several := list(islice(files, size)):
        yield several


def _not_seen(system: System, archive: Archive, files: Sequence[FoundFile]) -> Iterator[FoundFile]:
    now = system.clock().timestamp()
    with system.database.read() as session:
        rows = session.execute(
            select(ArchiveFile.path, ArchiveFile.size_bytes, ArchiveFile.modified).where(
                ArchiveFile.archive_id == archive.id,
                ArchiveFile.path.in_([file.path for file in files]),
                ~exists().where(Scan.sha256 == ArchiveFile.sha256, *_lacks_its_original(archive)),
            )
        )
        seen = {row.path: (row.size_bytes, row.modified) for row in rows}
    for file in files:
        if seen.get(file.path) != (file.size, file.modified) and now - file.modified_s >= SETTLED_AFTER_S:
            yield file


def _lacks_its_original(archive: Archive) -> list[ColumnElement[bool]]:
    """Conditions on Scan. Of a copy there must be work that lacks it: clean-up removes copies in their time."""
    lacking: list[ColumnElement[bool]] = [Scan.original_removed_at.is_not(None)]
    if not archive.in_place:
        rejected = (Rendition.state == WorkState.REJECTED, Rendition.problem_code == ORIGINAL_MISSING_CODE)
        lacking.append(exists().where(Rendition.scan_id == Scan.id, *rejected))
    return lacking


def _admit(system: System, archive: Archive, run_id: int, files: Sequence[FoundFile]) -> list[Receipted]:
    arrivals = [_look_at(system, archive, file) for file in files]
    receipts = admit_arrivals(system, run_id, arrivals)
    remembered = [
        {
            "archive_id": archive.id,
            "path": file.path,
            "size_bytes": file.size,
            "modified": file.modified,
            "sha256": arrival.sha256,
            "seen_at": system.clock(),
        }
        for file, arrival in zip(files, arrivals, strict=True)
        # What could not be read is tried again by the next visit.
        if arrival.refusal is None or arrival.refusal.code != "unreadable"
    ]
    if remembered:
        committed(system.database, lambda session: _remember(session, remembered))
    return receipts


def _look_at(system: System, archive: Archive, file: FoundFile) -> Arrival:
    most = system.settings.max_container_mb * MIB
    if file.size > most:
        reason = f"The file has {file.size // MIB:,} MB; at most {most // MIB:,} MB are taken."
        return Arrival(file.path, None, file.size, refusal=Unscreenable("too_large", reason))
    receive = (
        IncomingReference(system.storage, archive.url, file.address, HEAD_BYTES)
        if archive.in_place
        else system.storage.receive()
    )
    with receive as incoming:
        try:
            fill(incoming, read_address(file.address))
        except ObjectMissing:
            gone = Unscreenable("unreadable", "The file went away while the archive was visited.")
            return Arrival(file.path, None, file.size, refusal=gone)
        except StorageError as error:
            log.warning("file of an archive not read", path=file.path, error=str(error))
            reason = "The file cannot be read where it lies. Check its rights; the next visit tries it again."
            return Arrival(file.path, None, file.size, refusal=Unscreenable("unreadable", reason))
        return look_at(file.path, incoming)


def _remember(session: Session, rows: list[dict[str, Any]]) -> None:
    statement = insert_into(session, ArchiveFile).values(rows)
    changing = {name: statement.excluded[name] for name in ("size_bytes", "modified", "sha256", "seen_at")}
    session.execute(statement.on_conflict_do_update(index_elements=["archive_id", "path"], set_=changing))


def _count(system: System, lease: Lease, found: int, admitted: int, refused: int) -> bool:
    """Tell how far the visit is; False where the archive was removed or is visited by somebody else."""

    def count(session: Session) -> bool:
        counted = update(Archive).where(Archive.lease_token == lease.token)
        values = {"found": found, "admitted": admitted, "refused": refused}
        return session.scalar(counted.values(values).returning(Archive.id)) is not None

    return committed(system.database, count)
