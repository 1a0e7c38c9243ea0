"""Sending a job back to be prepared, because its rendition is gone from storage or cannot be read."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from screening.database.states import JobState, WorkState
from screening.database.tables import Job, Rendition
from screening.ledger.lanes import settle_lanes
from screening.ledger.lease import Lease
from screening.ledger.releasing import requeue_jobs


def remake_rendition(session: Session, lease: Lease, now: datetime, scan_id: str, spec: str, max_attempts: int) -> None:
    """Have a rendition made again and let the claimed jobs of its scan wait for it.

    Jobs that were tried `max_attempts` times already are set aside instead, so that a rendition that never lasts
    cannot keep its job going round.
    """
    this = (Rendition.scan_id == scan_id, Rendition.spec == spec)
    # Locked first, so that a worker that has this rendition in hand is done with it, or sees that a job waits for it.
    session.execute(select(Rendition.state).where(*this).with_for_update())
    mine = (Job.scan_id == scan_id, Job.lease_token == lease.token, Job.state == JobState.SCREENING)
    requeue_jobs(session, (*mine, Job.attempts >= max_attempts), max_attempts, now)
    sent_back = session.scalar(
        update(Job).where(*mine).values(state=JobState.PREPARING, lease_token=None, lease_until=None).returning(Job.id)
    )
    if sent_back is not None:
        session.execute(
            update(Rendition)
            .where(*this, Rendition.state == WorkState.READY)
            .values(state=WorkState.WAITING, attempts=0, queued_at=now, finished_at=None)
        )
        settle_lanes(session, *this)
