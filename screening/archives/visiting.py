"""A visit of an archive: every file that was not seen as it is now is read, hashed and admitted to a run.

So is one whose scan was found to be without its original: it was away for a moment, and is there again.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice

import structlog
from sqlalchemy import update
from sqlalchemy.orm import Session

from screening.archives.filling import actor_of, run_to_fill, submit_runs_of
from screening.archives.passed_over import PassedOver
from screening.archives.references import ArchiveAway, IncomingReference, fill
from screening.archives.seen import held_files, not_seen, remember
from screening.archives.walking import FoundFile, read_address, walk
from screening.database.schedule_tables import Archive
from screening.database.transactions import committed
from screening.ledger.lease import Lease
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
MIB = 1 << 20


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
            for fresh in _batches(not_seen(system, archive, several, passed_over), ADMITTED_AT_ONCE):
                if should_stop():
                    return so_far(whole=False)
                if not archive.in_place:
                    system.capacity.check_space(sum(file.size for file in fresh))
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


def _admit(system: System, archive: Archive, run_id: int, files: Sequence[FoundFile]) -> list[Receipted]:
    arrivals = [_look_at(system, archive, file) for file in files]
    receipts = admit_arrivals(system, run_id, arrivals)
    remember(system, archive, files, arrivals)
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
        return replace(look_at(file.path, incoming), in_place=archive.in_place)


def _count(system: System, lease: Lease, found: int, admitted: int, refused: int) -> bool:
    """Tell how far the visit is; False where the archive was removed or is visited by somebody else."""

    def count(session: Session) -> bool:
        counted = update(Archive).where(Archive.lease_token == lease.token)
        values = {"found": found, "admitted": admitted, "refused": refused}
        return session.scalar(counted.values(values).returning(Archive.id)) is not None

    return committed(system.database, count)
