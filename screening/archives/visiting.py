"""A visit of an archive: every file that was not seen as it is now is read, hashed and admitted to a run.

So is one whose scan was found to be without its original: it was away for a moment, and is there again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import update
from sqlalchemy.orm import Session

from screening.archives.filling import actor_of, run_to_fill, submit_runs_of
from screening.archives.looking import look_at_found, too_large_unread
from screening.archives.passed_over import PassedOver
from screening.archives.references import ArchiveAway
from screening.archives.seen import held_files, not_seen, remember
from screening.archives.walking import FoundFile, walk
from screening.database.schedule_tables import Archive
from screening.database.transactions import committed
from screening.ledger.lease import Lease
from screening.queue import QueueName
from screening.runs.admission import Receipted
from screening.runs.intake import admit_arrivals
from screening.system import System

LOOKED_UP_AT_ONCE = 200
ADMITTED_AT_ONCE = 16


@dataclass(frozen=True)
class Visited:
    found: int
    admitted: int
    refused: int
    whole: bool
    """False where it was asked to stop; the rest is for the next visit."""
    problem: str | None = None
    """What it passed over, in sentences."""


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
    passed_over = PassedOver()

    def so_far(*, whole: bool) -> Visited:
        return Visited(found, admitted, refused, whole, passed_over.sentences())

    with closing(walk(archive.url, passed_over.not_read.add)) as files:
        for several in _batches(files, chunk):
            found += len(several)
            for fresh in _to_admit(system, archive, not_seen(system, archive, several, passed_over)):
                if should_stop():
                    return so_far(whole=False)
                run_id = run_to_fill(system, archive, lease, run_id)
                if run_id is None:
                    return so_far(whole=False)
                receipts = _admit(system, archive, run_id, fresh)
                refused += sum(receipt.status == "rejected" for receipt in receipts)
                admitted += sum(receipt.status != "rejected" for receipt in receipts)
                system.waker.wake(QueueName.PREPARE)
            if not _count(system, lease, found, admitted, refused):
                return so_far(whole=False)
    if not found and not passed_over.not_read.number and held_files(system, archive):
        raise ArchiveAway(
            f"{archive.url} is empty and held files before: it is not mounted, or all were removed; the next visit "
            "looks again"
        )
    committed(
        system.database,
        lambda session: submit_runs_of(session, system.clock(), archive.id, actor_of(archive.id)),
    )
    return so_far(whole=True)


def _batches(files: Iterator[FoundFile], size: int) -> Iterator[list[FoundFile]]:
    while several := list(islice(files, size)):
        yield several


def _to_admit(system: System, archive: Archive, files: Iterator[FoundFile]) -> Iterator[list[FoundFile]]:
    """Some files at once, but one by one where there may be no room for them all. Raises Full where there is none.

    Some of these may be no pictures and take no room, which their first bytes tell; what has room is admitted before
    one that has none ends the visit.
    """
    for several in _batches(files, ADMITTED_AT_ONCE):
        if archive.in_place:
            yield several
            continue
        system.capacity.check_space(0)
        room = system.capacity.space().room
        may_be_kept = sum(file.size for file in several if not too_large_unread(system.settings, file))
        if room is None or may_be_kept <= room:
            yield several
        else:
            yield from ([file] for file in several)


def _admit(system: System, archive: Archive, run_id: int, files: Sequence[FoundFile]) -> list[Receipted]:
    arrivals = [look_at_found(system, archive, file) for file in files]
    receipts = admit_arrivals(system, run_id, arrivals)
    remember(system, archive, files, arrivals, receipts)
    return receipts


def _count(system: System, lease: Lease, found: int, admitted: int, refused: int) -> bool:
    """Tell how far the visit is; False where the archive was removed or is visited by somebody else."""

    def count(session: Session) -> bool:
        counted = update(Archive).where(Archive.lease_token == lease.token)
        values = {"found": found, "admitted": admitted, "refused": refused}
        return session.scalar(counted.values(values).returning(Archive.id)) is not None

    return committed(system.database, count)
