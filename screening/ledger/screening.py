"""Jobs: claimed in batches, screened, released. One transaction claims a batch, one records it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, select, update
from sqlalchemy.orm import Session

from screening.database.inserting import insert_into
from screening.database.states import JobState, Lane, RunState
from screening.database.tables import Job, Prediction, Run
from screening.ledger.lease import SET_ASIDE_CODE, Lease, after_attempts, set_aside_reason

RUNS_IN_ONE_BATCH = 8
_CLAIMABLE_RUNS = (RunState.OPEN, RunState.RUNNING)


@dataclass(frozen=True)
class BatchClaim:
    """Scans to be screened together by the holder of the lease; each scan once, whatever number of jobs wait for it."""

    lease: Lease
    checkpoint_id: str
    lane: int
    scan_ids: tuple[str, ...]
    job_count: int
    tried: bool = False
    """Whether these jobs were claimed before: one of them may be what ended a worker."""


@dataclass(frozen=True)
class Outcome:
    """What the network said of one scan."""

    scan_id: str
    probability: float
    activation_map: bytes


def claim_batch(
    session: Session,
    lease: Lease,
    now: datetime,
    size: int,
    refused: Collection[str] = (),
    *,
    untried_only: bool = False,
) -> BatchClaim | None:
    """Claim up to `size` queued jobs of one checkpoint: most urgent lane first, then the oldest run.

    Urgent jobs are not joined by others, which would only keep them waiting for a fuller batch to be screened.
    Jobs that were tried before come in smaller batches (see `after_attempts`), so that one that ends its worker is soon
    alone and its neighbours are screened; `untried_only` leaves them, for a worker that still holds other jobs. Jobs
    whose scan this checkpoint has screened in the meantime are recorded at once and not returned; with nothing left to
    screen the claim is empty but not None. Checkpoints in `refused` are left to other workers.
    """
    wanted = (Job.attempts == 0,) if untried_only else ()
    runs = session.execute(
        select(Run.id, Run.checkpoint_id, Run.lane)
        .where(
            Run.state.in_(_CLAIMABLE_RUNS),
            Run.checkpoint_id.not_in(refused),
            first_job(JobState.QUEUED, *wanted).is_not(None),
        )
        .order_by(Run.lane, Run.id)
        .limit(RUNS_IN_ONE_BATCH)
    ).all()
    if not runs:
        return None
    checkpoint_id, lane = runs[0].checkpoint_id, runs[0].lane
    chosen: list[tuple[int, str]] = []
    attempts: int | None = None
    for run in runs:
        if run.checkpoint_id != checkpoint_id or (lane == Lane.URGENT and run.lane != lane):
            continue
        rows = session.execute(
            select(Job.id, Job.scan_id, Job.attempts)
            .where(Job.run_id == run.id, Job.state == JobState.QUEUED, *wanted)
            .order_by(Job.attempts, Job.id)
            .limit(size - len(chosen))
            .with_for_update(skip_locked=True)
        ).all()
        for row in rows:
            if attempts is None:
                attempts = row.attempts
                size = after_attempts(size, attempts)
            if row.attempts == attempts and len(chosen) < size:
                chosen.append((row.id, row.scan_id))
        if len(chosen) >= size:
            break
    if not chosen:
        return BatchClaim(lease, checkpoint_id, lane, (), 0)
    session.execute(
        update(Job)
        .where(Job.id.in_([job_id for job_id, _ in chosen]), Job.state == JobState.QUEUED)
        .values(state=JobState.SCREENING, lease_token=lease.token, lease_until=lease.until, attempts=Job.attempts + 1)
    )
    scans = list(dict.fromkeys(scan_id for _, scan_id in chosen))
    known = set(
        session.scalars(
            select(Prediction.scan_id).where(Prediction.checkpoint_id == checkpoint_id, Prediction.scan_id.in_(scans))
        )
    )
    _finish_jobs(session, now, checkpoint_id, known)
    left = tuple(scan_id for scan_id in scans if scan_id not in known)
    return BatchClaim(lease, checkpoint_id, lane, left, len(chosen), tried=bool(attempts))


def renew(session: Session, lease: Lease, until: datetime) -> int:
    """Keep claimed jobs longer. Returns how many this lease still holds."""
    result: Any = session.execute(
        update(Job).where(Job.lease_token == lease.token, Job.state == JobState.SCREENING).values(lease_until=until)
    )
    return int(result.rowcount)


def record_batch(
    session: Session,
    lease: Lease,
    now: datetime,
    checkpoint_id: str,
    outcomes: Sequence[Outcome],
    engine: str,
    worker: str,
) -> int:
    """Record predictions and finish every job that waits for one of these scans, in one transaction.

    Outcomes of scans whose lease was lost are dropped: another worker has them. Returns how many were recorded.
    """
    held = set(
        session.scalars(
            select(Job.scan_id).where(Job.lease_token == lease.token, Job.state == JobState.SCREENING).with_for_update()
        )
    )
    kept = [outcome for outcome in outcomes if outcome.scan_id in held]
    if not kept:
        return 0
    session.execute(
        _insert_new(session),
        [
            {
                "scan_id": outcome.scan_id,
                "checkpoint_id": checkpoint_id,
                "probability": outcome.probability,
                "activation_map": outcome.activation_map,
                "engine": engine,
                "worker": worker,
                "created_at": now,
            }
            for outcome in kept
        ],
    )
    _finish_jobs(session, now, checkpoint_id, {outcome.scan_id for outcome in kept})
    return len(kept)


def fail_scan(session: Session, lease: Lease, now: datetime, scan_id: str, code: str, reason: str) -> None:
    """End the claimed jobs of one scan with a reason; its neighbours in the batch are not touched."""
    session.execute(
        update(Job)
        .where(Job.scan_id == scan_id, Job.lease_token == lease.token, Job.state == JobState.SCREENING)
        .values(
            state=JobState.FAILED,
            problem_code=code,
            problem=reason,
            finished_at=now,
            lease_token=None,
            lease_until=None,
        )
    )


def release_jobs(session: Session, lease: Lease, *, tried: bool, max_attempts: int, now: datetime) -> None:
    """Hand claimed jobs back: uncounted where they were not tried, else set aside after `max_attempts`."""
    mine = (Job.lease_token == lease.token, Job.state == JobState.SCREENING)
    if not tried:
        session.execute(
            update(Job)
            .where(*mine)
            .values(state=JobState.QUEUED, lease_token=None, lease_until=None, attempts=Job.attempts - 1)
        )
        return
    requeue_jobs(session, mine, max_attempts, now)


def requeue_jobs(session: Session, condition: Iterable[Any], max_attempts: int, now: datetime) -> int:
    """Queue tried jobs again, or set them aside as failed when they were tried often enough. Returns how many."""
    where = tuple(condition)
    aside: Any = session.execute(
        update(Job)
        .where(*where, Job.attempts >= max_attempts)
        .values(
            state=JobState.FAILED,
            problem_code=SET_ASIDE_CODE,
            problem=set_aside_reason(max_attempts),
            finished_at=now,
            lease_token=None,
            lease_until=None,
        )
    )
    again: Any = session.execute(
        update(Job).where(*where).values(state=JobState.QUEUED, lease_token=None, lease_until=None)
    )
    return int(aside.rowcount) + int(again.rowcount)


def queued_up_to(session: Session, limit: int, lane: int = Lane.ARCHIVE) -> int:
    """How many jobs of this lane and those before it could be claimed now, counted no further than `limit`."""
    runs = session.scalars(
        select(Run.id)
        .where(Run.state.in_(_CLAIMABLE_RUNS), Run.lane <= lane, first_job(JobState.QUEUED).is_not(None))
        .order_by(Run.lane, Run.id)
        .limit(limit)
    ).all()
    found = 0
    for run_id in runs:
        some = _in_order(select(Job.id).where(Job.run_id == run_id, Job.state == JobState.QUEUED)).limit(limit - found)
        found += session.scalar(select(func.count()).select_from(some.subquery())) or 0
        if found >= limit:
            break
    return found


def first_job(state: JobState, *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    """The job of a run (of the enclosing statement) that would be claimed first, or NULL where none is in this state.

    Asked with an order and a limit, so that one look into the index answers it: an EXISTS may be planned as a reading
    of all jobs, which takes half a second where there are a million.
    """
    jobs = select(Job.id).where(Job.run_id == Run.id, Job.state == state, *conditions)
    return _in_order(jobs).limit(1).scalar_subquery()


def _in_order(jobs: Select[int]) -> Select[int]:
    return jobs.order_by(Job.attempts, Job.id)


def _finish_jobs(session: Session, now: datetime, checkpoint_id: str, scan_ids: set[str]) -> None:
    """Every live job of these scans under this checkpoint is screened, in whatever run it stands."""
    if not scan_ids:
        return
    session.execute(
        update(Job)
        .where(
            Job.scan_id.in_(scan_ids),
            Job.state.in_((JobState.PREPARING, JobState.QUEUED, JobState.SCREENING)),
            Job.run_id.in_(select(Run.id).where(Run.checkpoint_id == checkpoint_id)),
        )
        .values(state=JobState.SCREENED, finished_at=now, lease_token=None, lease_until=None)
    )


def _insert_new(session: Session) -> Any:
    """An INSERT that leaves a prediction alone that is there already."""
    return insert_into(session, Prediction).on_conflict_do_nothing(index_elements=["scan_id", "checkpoint_id"])
