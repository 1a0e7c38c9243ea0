"""Erasing a scan, or all that came with a run: rows first, from when on nothing brings it back, then every object."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from screening import audit
from screening.archives.references import reference_key
from screening.database.engine import Database
from screening.database.schedule_tables import ArchiveFile
from screening.database.states import RunState
from screening.database.tables import AuditEvent, Checkpoint, Container, Job, Receipt, Rendition, Scan
from screening.database.transactions import committed
from screening.erasure.rows import (
    Pseudonym,
    erase_container_name,
    erase_paths,
    erase_receipts,
    erase_rows,
    erased_among,
    refuse_unfinished,
    scans_of_run_alone,
)
from screening.erasure.words import ERASED_NAME
from screening.errors import Conflict, NotFound, Refused
from screening.ledger.unpacking import container_is_wanted
from screening.runs.lifecycle import get_run
from screening.storage import (
    Storage,
    StorageError,
    container_key,
    display_key,
    original_key,
    rendition_key,
    set_aside_key,
)

SHORTEST_REASON = 3


@dataclass(frozen=True)
class Erased:
    scans: int
    archive_files: int
    """Files of archives that hold the same bytes, which are not touched."""
    backups: tuple[str, ...]
    """Backups that were made since it was received; those that `--keep` has not removed still hold it."""
    shared: int = 0
    """Of a run: scans that came with other runs too, and stay."""
    unfinished: tuple[str, ...] = ()
    """Of a run: commands that remove what storage did not remove now. Rows do not tell of it any more."""
    trouble: str = ""
    """What storage said then."""


def erase_scan(
    database: Database, storage: Storage, now: datetime, scan_id: str, reason: str, actor: str, pseudonym: Pseudonym
) -> Erased:
    """Erase one scan. Doing it again is no error, and removes what was left where storage had failed.

    Raises NotFound, Refused without a reason, Conflict while it is yet to be unpacked, StorageError.
    """
    _check_reason(reason)
    erased, keys = _erase_rows(database, now, scan_id, reason, actor, pseudonym)
    _delete(storage, keys)
    return erased


def _erase_rows(
    database: Database, now: datetime, scan_id: str, reason: str, actor: str, pseudonym: Pseudonym
) -> tuple[Erased, list[str]]:
    """Erase what rows say of a scan. Returns the keys of all that storage may have of it, too."""

    def erase(session: Session) -> tuple[str, list[str], list[str], int, list[str]]:
        scan = session.get(Scan, scan_id)
        if scan is None:
            raise NotFound("unknown_scan", f"There is no scan {scan_id[:40]}. Look for it in the worklist.")
        specs = {
            *session.scalars(select(Checkpoint.rendition_spec)),
            *session.scalars(select(Rendition.spec).where(Rendition.scan_id == scan_id)),
        }
        containers, files = erase_rows(session, now, scan, pseudonym)
        spare = [sha256 for sha256 in containers if not container_is_wanted(session, sha256)]
        audit.record(session, now, actor, "scan.erased", scan_id, {"reason": reason, "archive_files": files})
        return scan.sha256, sorted(specs), spare, files, _backups_since(session, scan.received_at)

    sha256, specs, containers, files, backups = committed(database, erase)
    original = original_key(sha256)
    received = (original, *map(container_key, containers))
    pictures = (display_key(scan_id), *(rendition_key(scan_id, spec) for spec in specs))
    return Erased(1, files, tuple(backups)), [set_aside_key(original), *_with_references(received), *pictures]


def erase_run(
    database: Database, storage: Storage, now: datetime, run_id: int, reason: str, actor: str, pseudonym: Pseudonym
) -> Erased:
    """Erase every scan that came with this run alone, and all names of files in it. The run stays, without a name.

    A scan that came with another run too stays there, and leaves this one. Where storage fails the rest is erased all
    the same, and what is left to do is told. Raises as `erase_scan`, but no StorageError, and Conflict for a run that
    is still at work.
    """
    _check_reason(reason)

    def look(session: Session) -> tuple[list[str], list[str]]:
        run = get_run(session, run_id)
        if run.state not in (RunState.CANCELLED, RunState.COMPLETE):
            raise Conflict("run_state", f"Run {run_id} is {run.state}. Cancel it first, then call this again.")
        for container in session.scalars(select(Container).where(Container.run_id == run_id)):
            refuse_unfinished(container)
        return scans_of_run_alone(session, run)

    alone, shared = committed(database, look)
    files = 0
    backups: set[str] = set()
    unfinished, trouble = [], ""
    for scan_id in alone:
        erased, keys = _erase_rows(database, now, scan_id, reason, actor, pseudonym)
        files += erased.archive_files
        backups.update(erased.backups)
        try:
            _delete(storage, keys)
        except StorageError as error:
            unfinished.append(f"screening scan erase {scan_id}")
            trouble = str(error)

    def leave(session: Session) -> list[str]:
        run = get_run(session, run_id)
        for scan_id in shared:
            _take_out(session, run_id, scan_id)
        containers = session.scalars(select(Container).where(Container.run_id == run_id)).all()
        of_run = select(Receipt.sha256).where(Receipt.run_id == run_id, Receipt.sha256.is_not(None))
        erase_paths(session, ArchiveFile.sha256.in_(of_run), pseudonym)
        for container in containers:
            erase_container_name(session, container)
        erase_receipts(session, Receipt.run_id == run_id)
        run.name = ERASED_NAME
        detail = {"reason": reason, "scans": len(alone), "stayed": len(shared), "archive_files": files}
        audit.record(session, now, actor, "run.erased", str(run_id), detail)
        return [one.sha256 for one in containers if not container_is_wanted(session, one.sha256)]

    try:
        _delete(storage, _with_references(map(container_key, committed(database, leave))))
    except StorageError as error:
        unfinished.append(f"screening run erase {run_id}")
        trouble = str(error)
    return Erased(len(alone), files, tuple(sorted(backups)), len(shared), tuple(unfinished), trouble)


def forget_pictures(storage: Storage, pictures: Sequence[tuple[str, str]]) -> None:
    """Remove renditions, by scan and spec, and display images. Raises StorageError."""
    for scan_id, spec in pictures:
        storage.delete(rendition_key(scan_id, spec))
        storage.delete(display_key(scan_id))


def forget_what_was_erased(database: Database, storage: Storage, pictures: Sequence[tuple[str, str]]) -> None:
    """Remove those of these pictures whose scan was erased while a worker made them. Raises StorageError."""
    if not pictures:
        return
    with database.read() as session:
        erased = erased_among(session, [scan_id for scan_id, _ in pictures])
    forget_pictures(storage, [picture for picture in pictures if picture[0] in erased])


def _with_references(keys: Iterable[str]) -> list[str]:
    return [each for key in keys for each in (key, reference_key(key))]


def _delete(storage: Storage, keys: Iterable[str]) -> None:
    for key in keys:
        storage.delete(key)


def _take_out(session: Session, run_id: int, scan_id: str) -> None:
    """Forget under which name a scan came in this run; elsewhere it keeps the names that it has there."""
    session.execute(delete(Job).where(Job.run_id == run_id, Job.scan_id == scan_id))
    scan = session.get_one(Scan, scan_id)
    other = select(Receipt.file_name).where(Receipt.scan_id == scan_id, Receipt.run_id != run_id).order_by(Receipt.id)
    scan.file_name = session.scalars(other.limit(1)).one()


def _backups_since(session: Session, received: datetime) -> list[str]:
    made = select(AuditEvent.subject).where(AuditEvent.action == "backup.made", AuditEvent.at >= received)
    return sorted(session.scalars(made))


def _check_reason(reason: str) -> None:
    if len(reason.strip()) < SHORTEST_REASON:
        raise Refused("no_reason", "Say why it is erased, without naming a person: the audit trail keeps the reason.")
