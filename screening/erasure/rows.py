"""What the rows of a scan become when it is erased, in one transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from screening.database.review_tables import Hold, Review
from screening.database.schedule_tables import ArchiveFile
from screening.database.states import WorkState
from screening.database.tables import Container, Job, Prediction, Receipt, Rendition, Run, Scan
from screening.erasure.words import ERASED_CODE, ERASED_NAME, ERASED_REASON
from screening.errors import Conflict
from screening.ledger.sweeping import complete_runs

_PLAIN: dict[str, Any] = {"synchronize_session": False}
_ERASED = "erased:"
_OF_SCAN = (Review, Hold, Prediction, Rendition, Job)

Pseudonym = Callable[[str], str]
"""A keyed hash, so that a path is known again and cannot be read."""


def erased_path(path: str, pseudonym: Pseudonym) -> str:
    """What is kept of the path of an erased file of an archive, so that visits know it by."""
    return f"{_ERASED}{pseudonym(path)}"


def erased_among(session: Session, scan_ids: Sequence[str]) -> set[str]:
    return set(session.scalars(select(Scan.id).where(Scan.id.in_(scan_ids), Scan.erased_at.is_not(None))))


def erase_rows(session: Session, now: datetime, scan: Scan, pseudonym: Pseudonym) -> tuple[list[str], int]:
    """Erase what rows say of a scan. Returns the hashes of containers that it came in, and how many files of archives
    hold it. Raises Conflict while one of those containers is yet to be unpacked.

    Work in hand is not waited for: its rows are gone, so that nothing of it can be recorded.
    """
    # Nobody admits this scan meanwhile: whoever does so waits here, and then sees that it is erased.
    session.refresh(scan, with_for_update=True)
    containers = session.scalars(
        select(Container).where(Container.id.in_(select(Receipt.container_id).where(Receipt.scan_id == scan.id)))
    ).all()
    for container in containers:
        refuse_unfinished(container)
    run_ids = session.scalars(select(Job.run_id).where(Job.scan_id == scan.id).distinct()).all()
    scan.erased_at = scan.erased_at or now
    scan.original_removed_at = scan.original_removed_at or now
    scan.file_name, scan.media_type, scan.size_bytes, scan.facts = ERASED_NAME, "", 0, {}
    scan.study = scan.modality = scan.body_part = scan.view = scan.laterality = None
    session.flush()
    for table in _OF_SCAN:
        session.execute(delete(table).where(table.scan_id == scan.id), execution_options=_PLAIN)
    erase_receipts(session, or_(Receipt.scan_id == scan.id, Receipt.sha256 == scan.sha256))
    for container in containers:
        _erase_name_of_emptied(session, container)
    files = erase_paths(session, ArchiveFile.sha256 == scan.sha256, pseudonym)
    if run_ids:
        complete_runs(session, now)
    return [container.sha256 for container in containers], files


def erase_paths(session: Session, which: ColumnElement[bool], pseudonym: Pseudonym) -> int:
    """Forget where these files of archives lie, but know them again. Returns how many they are."""
    files = session.scalars(select(ArchiveFile).where(which)).all()
    for file in files:
        if not file.path.startswith(_ERASED):
            path = erased_path(file.path, pseudonym)
            # Of another file that was erased at this place before.
            former = (ArchiveFile.archive_id == file.archive_id, ArchiveFile.path == path)
            session.execute(delete(ArchiveFile).where(*former), execution_options=_PLAIN)
            file.path = path
    return len(files)


def refuse_unfinished(container: Container) -> None:
    """Raises Conflict for a container whose bytes are needed, and hold what is to be erased."""
    if container.state in (WorkState.WAITING, WorkState.WORKING):
        raise Conflict(
            "being_unpacked",
            f"It came in archive {container.id} of run {container.run_id}, which is yet to be unpacked. Cancel that "
            "run or wait until it is unpacked, and call this again.",
        )


def erase_receipts(session: Session, which: ColumnElement[bool]) -> None:
    """Leave of these receipts only that there was a file, and that it was erased."""
    gone = {
        "file_name": ERASED_NAME,
        "sha256": None,
        "scan_id": None,
        "size_bytes": 0,
        "status": "rejected",
        "code": ERASED_CODE,
        "reason": ERASED_REASON,
    }
    session.execute(update(Receipt).where(which).values(gone), execution_options=_PLAIN)


def erase_container_name(session: Session, container: Container) -> None:
    own_receipt = and_(Receipt.run_id == container.run_id, Receipt.sha256 == container.sha256)
    erase_receipts(session, own_receipt)
    container.file_name = ERASED_NAME


def _erase_name_of_emptied(session: Session, container: Container) -> None:
    """A container's name may say whose pictures it held; it goes with the last of them, since theirs begin with it."""
    left = exists().where(Receipt.container_id == container.id, Receipt.code.is_distinct_from(ERASED_CODE))
    if not session.scalar(select(left)):
        erase_container_name(session, container)


def scans_of_run_alone(session: Session, run: Run) -> tuple[list[str], list[str]]:
    """Scans that came with this run and no other, and those that came with others too."""
    of_run = select(Receipt.scan_id).where(Receipt.run_id == run.id)
    elsewhere = select(Receipt.scan_id).where(Receipt.run_id != run.id, Receipt.scan_id.in_(of_run))
    here = {scan_id for scan_id in session.scalars(of_run) if scan_id is not None}
    shared = {scan_id for scan_id in session.scalars(elsewhere) if scan_id in here}
    return sorted(here - shared), sorted(shared)
