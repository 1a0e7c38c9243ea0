"""Reading the receipts of a run: by page, counted, all of them, and what became of each file that was taken."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text, union_all
from sqlalchemy.orm import Session

from screening.database.states import NOT_SCREENED
from screening.database.tables import Job, Receipt, Scan

STATUSES = ("accepted", "duplicate", "rejected")
NO_RESULT = "no_result"
"""Files that were rejected, and scans that came to no prediction."""
CHOICES = (*STATUSES, NO_RESULT)
_AT_A_TIME = 1000
# Written out, so that SQLite sees that the index of rejected receipts serves.
_REJECTED = text("receipts.status = 'rejected'")


@dataclass(frozen=True)
class FileOutcome:
    """A receipt, and how the job goes on that the file became."""

    id: int
    file_name: str
    status: str
    code: str | None
    reason: str | None
    sha256: str | None
    size_bytes: int
    scan_id: str | None
    received_at: datetime
    outcome: str | None
    """State of the job; None for archives, and for what was rejected and never became a job."""
    problem: str | None
    """Why the job has no result."""


def receipts_of(
    session: Session, run_id: int, after: int = 0, limit: int = 1000, choice: str | None = None
) -> Sequence[Receipt]:
    """Receipts of a run in the order in which the files came; all, those of one status, or those without a result."""
    statement = select(Receipt).where(Receipt.run_id == run_id, Receipt.id > after).order_by(Receipt.id).limit(limit)
    if choice == NO_RESULT:
        rejected = select(Receipt.id).where(Receipt.run_id == run_id, Receipt.id > after, _REJECTED)
        # From the jobs, which are few, to their receipts; and not from all receipts to their jobs.
        unscreened = (
            select(Receipt.id)
            .select_from(Job)
            .join(Scan, Scan.id == Job.scan_id)
            .join(
                Receipt,
                (Receipt.run_id == Job.run_id) & (Receipt.sha256 == Scan.sha256) & (Receipt.file_name == Job.file_name),
            )
            .where(Job.run_id == run_id, Job.state.in_(NOT_SCREENED), Receipt.id > after)
        )
        ids = union_all(rejected, unscreened).order_by("id").limit(limit)
        statement = select(Receipt).where(Receipt.id.in_(session.scalars(ids).all())).order_by(Receipt.id)
    elif choice == "rejected":
        statement = statement.where(_REJECTED)
    elif choice:
        statement = statement.where(Receipt.status == choice)
    return session.scalars(statement).all()


def with_outcomes(session: Session, run_id: int, receipts: Sequence[Receipt]) -> list[FileOutcome]:
    """What became of the files of these receipts of one run; one statement for all of them."""
    scans = {receipt.scan_id for receipt in receipts if receipt.scan_id}
    jobs = {
        (job.scan_id, job.file_name): (job.state, job.problem)
        for job in session.execute(
            select(Job.scan_id, Job.file_name, Job.state, Job.problem).where(
                Job.run_id == run_id, Job.scan_id.in_(scans)
            )
        )
    }
    return [
        FileOutcome(
            receipt.id,
            receipt.file_name,
            receipt.status,
            receipt.code,
            receipt.reason,
            receipt.sha256,
            receipt.size_bytes,
            receipt.scan_id,
            receipt.received_at,
            *jobs.get((receipt.scan_id or "", receipt.file_name), (None, None)),
        )
        for receipt in receipts
    ]


def every_receipt(session: Session, run_id: int) -> Iterator[FileOutcome]:
    """All of them, read a thousand at a time. The transaction ends before each thousand is given: whoever takes them
    may be slow, and nothing is to wait for that."""
    after = 0
    while page := receipts_of(session, run_id, after, _AT_A_TIME):
        files = with_outcomes(session, run_id, page)
        session.expunge_all()
        session.rollback()
        yield from files
        after = files[-1].id


def receipt_counts(session: Session, run_id: int) -> dict[str, int]:
    """How many receipts of a run there are of each status."""
    statement = select(Receipt.status, func.count()).where(Receipt.run_id == run_id).group_by(Receipt.status)
    return {**dict.fromkeys(STATUSES, 0), **dict(session.execute(statement).all())}


def rejected_files(session: Session, run_ids: Sequence[int]) -> dict[int, int]:
    """How many files were rejected in each of these runs; runs without such files are left out."""
    statement = (
        select(Receipt.run_id, func.count()).where(Receipt.run_id.in_(run_ids), _REJECTED).group_by(Receipt.run_id)
    )
    return dict(session.execute(statement).all())
