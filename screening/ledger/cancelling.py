"""Work of cancelled runs: ended with the run, or by the sweep where it came back or in only afterwards."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from screening.database.states import JobState, RunState
from screening.database.tables import Job, Run
from screening.ledger.claiming import first_job


def cancel_jobs(session: Session, now: datetime, run_ids: Collection[int]) -> None:
    """End the jobs of cancelled runs that are not being screened."""
    session.execute(
        update(Job)
        .where(Job.run_id.in_(run_ids), Job.state.in_((JobState.PREPARING, JobState.QUEUED)))
        .values(state=JobState.CANCELLED, finished_at=now)
    )


def cancel_what_is_left(session: Session, now: datetime) -> None:
    """End jobs that were being screened, or were just admitted, when their run was cancelled. No run comes back."""
    waits = or_(*(first_job(state).is_not(None) for state in (JobState.PREPARING, JobState.QUEUED)))
    run_ids = session.scalars(select(Run.id).where(Run.state == RunState.CANCELLED, waits)).all()
    if run_ids:
        cancel_jobs(session, now, run_ids)
