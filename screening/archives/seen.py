"""What visits remember of the files of an archive, so that one with the size and time it had is not read again."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, select
from sqlalchemy.orm import Session

from screening.archives.looking import is_still_too_large
from screening.archives.passed_over import PassedOver
from screening.archives.walking import FoundFile
from screening.database.inserting import insert_into
from screening.database.schedule_tables import Archive, ArchiveFile
from screening.database.states import WorkState
from screening.database.tables import Container, Rendition, Scan
from screening.database.transactions import committed
from screening.erasure.rows import erased_path
from screening.erasure.words import ERASED_CODE
from screening.ledger.reviving import ORIGINAL_MISSING_CODE
from screening.runs.admission import Receipted
from screening.runs.intake import Arrival
from screening.system import System

SETTLED_AFTER_S = 60
"""A file that was written to a moment ago may not be whole yet; the next visit takes it."""


def not_seen(
    system: System, archive: Archive, files: Sequence[FoundFile], passed_over: PassedOver
) -> Iterator[FoundFile]:
    """Those to be read: not seen as they are now, or seen and nothing came of it that would not be otherwise now.

    A scan that lacks its original, a container that was gone when it was to be unpacked, and what was too large may
    do better. Those that are being written are not among them.
    """
    now = system.clock().timestamp()
    erased = {erased_path(file.path, system.pseudonym): file.path for file in files}
    with system.database.read() as session:
        rows = session.execute(
            select(ArchiveFile.path, ArchiveFile.size_bytes, ArchiveFile.modified, ArchiveFile.sha256).where(
                ArchiveFile.archive_id == archive.id,
                ArchiveFile.path.in_([*(file.path for file in files), *erased]),
                ~exists().where(Scan.sha256 == ArchiveFile.sha256, *_lacks_its_original(archive)),
                ~_was_gone_when_unpacked(),
            )
        )
        seen = {erased.get(row.path, row.path): row for row in rows}
    for file in files:
        row = seen.get(file.path)
        as_it_was = row is not None and (row.size_bytes, row.modified) == (file.size, file.modified)
        # Without a hash it was refused for its size.
        if row is not None and as_it_was and (row.sha256 or is_still_too_large(system.settings, file)):
            continue
        # A time far ahead is a clock that was wrong: nobody is writing.
        if abs(now - file.modified_s) < SETTLED_AFTER_S:
            passed_over.not_settled.add(file.path)
        else:
            yield file


def remember(
    system: System,
    archive: Archive,
    files: Sequence[FoundFile],
    arrivals: Sequence[Arrival],
    receipts: Sequence[Receipted],
) -> None:
    """Not those that could not be read: the next visit tries them again. Of an erased one the path is not kept."""
    remembered, other_spellings = [], []
    for file, arrival, receipt in zip(files, arrivals, receipts, strict=True):
        if arrival.refusal is not None and arrival.refusal.code == "unreadable":
            continue
        kept, other = file.path, erased_path(file.path, system.pseudonym)
        if receipt.code == ERASED_CODE:
            kept, other = other, kept
        other_spellings.append(other)
        remembered.append(
            {
                "archive_id": archive.id,
                "path": kept,
                "size_bytes": file.size,
                "modified": file.modified,
                "sha256": arrival.sha256,
                "seen_at": system.clock(),
            }
        )
    if remembered:
        committed(system.database, lambda session: _remember(session, archive.id, remembered, other_spellings))


def held_files(system: System, archive: Archive) -> bool:
    """Whether a visit before found anything in this archive."""
    with system.database.read() as session:
        some = select(ArchiveFile.id).where(ArchiveFile.archive_id == archive.id).limit(1)
        return session.scalar(some) is not None


def _lacks_its_original(archive: Archive) -> list[ColumnElement[bool]]:
    """Conditions on Scan. Of a copy there must be work that lacks it: clean-up removes copies in their time."""
    lacking: list[ColumnElement[bool]] = [Scan.original_removed_at.is_not(None), Scan.erased_at.is_(None)]
    if not archive.in_place:
        rejected = (Rendition.state == WorkState.REJECTED, Rendition.problem_code == ORIGINAL_MISSING_CODE)
        lacking.append(exists().where(Rendition.scan_id == Scan.id, *rejected))
    return lacking


def _was_gone_when_unpacked() -> ColumnElement[bool]:
    """Of a file that is a container: no run could unpack it, or refuse it, for want of its bytes."""
    same = Container.sha256 == ArchiveFile.sha256
    gone = and_(Container.state == WorkState.REJECTED, Container.problem_code == ORIGINAL_MISSING_CODE)
    return and_(exists().where(same, gone), ~exists().where(same, ~gone))


def _remember(session: Session, archive_id: int, rows: list[dict[str, Any]], other_spellings: list[str]) -> None:
    """other_spellings: under which another file may be known that was at one of these places before or after an
    erasure. Of a place only what is there now is kept."""
    session.execute(
        delete(ArchiveFile).where(ArchiveFile.archive_id == archive_id, ArchiveFile.path.in_(other_spellings))
    )
    statement = insert_into(session, ArchiveFile).values(rows)
    changing = {name: statement.excluded[name] for name in ("size_bytes", "modified", "sha256", "seen_at")}
    session.execute(statement.on_conflict_do_update(index_elements=["archive_id", "path"], set_=changing))
