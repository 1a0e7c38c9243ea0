"""Claimed jobs kept longer, handed back, or set aside after too many attempts."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from screening.database.states import JobState
from screening.database.tables import Job
from screening.ledger.lease import SET_ASIDE_CODE, Lease, set_aside_reason


def renew(session: Session, lease: Lease, until: datetime) -> int:
    """Keep claimed jobs longer. Returns how many this lease still holds."""
    result: Any = session.execute(
        update(Job).where(Job.lease_token == lease.token, Job.state == JobState.SCREENING).values(lease_until=until)
    )
    return int(result.rowcount)


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
