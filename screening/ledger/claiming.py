"""Jobs claimed in batches, each in one transaction, and whether any wait."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, ScalarSelect, bindparam, func, select, update
from sqlalchemy.orm import Session

from screening.database.states import LIVE_RUNS, JobState, Lane
from screening.database.tables import Job, Prediction, Run
from screening.ledger.lease import Lease, after_attempts
from screening.ledger.recording import finish_jobs

RUNS_IN_ONE_BATCH = 8
_UNTRIED, _ANY_ATTEMPTS = 0, 2**15 - 1
_IN_ORDER = (Job.attempts, Job.id)


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


def first_job(state: JobState, *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    """The job of a run (of the enclosing statement) that would be claimed first, or NULL where none is in this state.

    Asked with an order and a limit, so that one look into the index answers it: an EXISTS may be planned as a reading
    of all jobs, which takes half a second where there are a million.
    """
    jobs = select(Job.id).where(Job.run_id == Run.id, Job.state == state, *conditions)
    return jobs.order_by(*_IN_ORDER).limit(1).scalar_subquery()


# Put together once: that costs SQLAlchemy more than to run them, and every batch runs each of them.
_CLAIMABLE = Run.state.in_(LIVE_RUNS)
# A range, never an equality: that leaves only the ids to be put in order, and a plan that walks through all jobs by id.
_NOT_TRIED_MORE = Job.attempts <= bindparam("most_attempts")
_RUNS = (
    select(Run.id, Run.checkpoint_id, Run.lane)
    .where(
        _CLAIMABLE,
        Run.checkpoint_id.not_in(bindparam("refused", expanding=True)),
        first_job(JobState.QUEUED, _NOT_TRIED_MORE).is_not(None),
    )
    .order_by(Run.lane, Run.id)
    .limit(RUNS_IN_ONE_BATCH)
)
_JOBS = (
    select(Job.id, Job.scan_id, Job.attempts)
    .where(Job.run_id == bindparam("of_run"), Job.state == JobState.QUEUED, _NOT_TRIED_MORE)
    .order_by(*_IN_ORDER)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_CLAIM = (
    update(Job)
    .where(Job.id.in_(bindparam("jobs", expanding=True)), Job.state == JobState.QUEUED)
    .values(
        state=JobState.SCREENING,
        lease_token=bindparam("token"),
        lease_until=bindparam("until"),
        attempts=Job.attempts + 1,
    )
)
_KNOWN = select(Prediction.scan_id).where(
    Prediction.checkpoint_id == bindparam("checkpoint"), Prediction.scan_id.in_(bindparam("scans", expanding=True))
)
_RUNS_THAT_WAIT = (
    select(Run.id)
    .where(_CLAIMABLE, Run.lane <= bindparam("last_lane"), first_job(JobState.QUEUED).is_not(None))
    .order_by(Run.lane, Run.id)
    .limit(bindparam("most"))
)


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
    connection = session.connection()
    most_attempts = _UNTRIED if untried_only else _ANY_ATTEMPTS
    runs = connection.execute(_RUNS, {"refused": list(refused), "most_attempts": most_attempts}).all()
    if not runs:
        return None
    checkpoint_id, lane = runs[0].checkpoint_id, runs[0].lane
    chosen: list[tuple[int, str]] = []
    attempts: int | None = None
    for run in runs:
        if run.checkpoint_id != checkpoint_id or (lane == Lane.URGENT and run.lane != lane):
            continue
        rows = connection.execute(
            _JOBS, {"of_run": run.id, "most_attempts": most_attempts, "most": size - len(chosen)}
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
    connection.execute(_CLAIM, {"jobs": [job_id for job_id, _ in chosen], "token": lease.token, "until": lease.until})
    scans = list(dict.fromkeys(scan_id for _, scan_id in chosen))
    known = set(connection.scalars(_KNOWN, {"checkpoint": checkpoint_id, "scans": scans}))
    finish_jobs(session, now, checkpoint_id, known)
    left = tuple(scan_id for scan_id in scans if scan_id not in known)
    return BatchClaim(lease, checkpoint_id, lane, left, len(chosen), tried=bool(attempts))


def queued_up_to(session: Session, limit: int, lane: int = Lane.ARCHIVE) -> int:
    """How many jobs of this lane and those before it could be claimed now, counted no further than `limit`."""
    found = 0
    for run_id in session.connection().scalars(_RUNS_THAT_WAIT, {"last_lane": lane, "most": limit}).all():
        queued = select(Job.id).where(Job.run_id == run_id, Job.state == JobState.QUEUED)
        some = queued.order_by(*_IN_ORDER).limit(limit - found)
        found += session.scalar(select(func.count()).select_from(some.subquery())) or 0
        if found >= limit:
            break
    return found
