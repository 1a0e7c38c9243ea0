"""The sweep: takes back expired leases, sets aside what fails again and again, ends runs and what is left of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from screening.database.states import UNFINISHED, JobState, RunState, WorkState
from screening.database.tables import Container, Job, Rendition, Run
from screening.ledger.cancelling import cancel_what_is_left
from screening.ledger.claiming import first_job, queued_up_to
from screening.ledger.due import waiting_renditions
from screening.ledger.lanes import settle_lanes
from screening.ledger.lease import SET_ASIDE_CODE
from screening.ledger.preparing import reject_jobs, these_renditions
from screening.ledger.releasing import requeue_jobs
from screening.ledger.unpacking import reject_container_receipt

CLOCKS_APART = timedelta(minutes=5)
"""How far the clocks of two machines may be apart."""
CLOSED_LATELY = timedelta(hours=1)
RENDITIONS_AT_ONCE = 500
"""A sweep takes back so many at most: of an archive that is away many thousands may be claimed, and were they all tried
again with every lease, workers would do little else. Theirs is no attempt; what counts one comes first."""
_PREPARE_SET_ASIDE = (
    "Reading this file stopped its worker {attempts} times, so it was set aside. "
    "A person must look at it; export it again from its source and send the new file."
)


@dataclass(frozen=True)
class Sweep:
    """What a sweep found and which queues need a wake-up."""

    renditions: int
    jobs: int
    containers: int
    runs_completed: int
    wake_prepare: bool
    wake_screen: bool


def sweep(session: Session, now: datetime, max_attempts: int, longest_lease: timedelta = timedelta(hours=1)) -> Sweep:
    """One sweep in one transaction; any number of sweepers may run at once."""
    latest = now + longest_lease + CLOCKS_APART
    containers = _sweep_containers(session, now, latest, max_attempts)
    renditions = _sweep_renditions(session, now, latest, max_attempts)
    # Rows that somebody is writing at this moment are left for the next sweep: a process that froze over them would
    # hold up every sweep, and with it all that upkeep does.
    expired = select(Job.id).where(Job.state == JobState.SCREENING, _is_over(Job.lease_until, now, latest))
    jobs = requeue_jobs(session, (Job.id.in_(expired.with_for_update(skip_locked=True)),), max_attempts, now)
    cancel_what_is_left(session, now)
    _reopen_runs(session, now)
    return Sweep(
        renditions=renditions,
        jobs=jobs,
        containers=containers,
        runs_completed=complete_runs(session, now),
        wake_prepare=waiting_renditions(session)
        or session.scalar(select(Container.id).where(Container.state == WorkState.WAITING).limit(1)) is not None,
        wake_screen=queued_up_to(session, 1) > 0,
    )


def complete_runs(session: Session, now: datetime) -> int:
    """Close submitted runs that have nothing left to do. Returns how many were closed."""
    closed = session.scalars(
        update(Run)
        .where(
            Run.state == RunState.RUNNING,
            *(first_job(state).is_(None) for state in UNFINISHED),
            ~exists().where(Container.run_id == Run.id, Container.state.in_((WorkState.WAITING, WorkState.WORKING))),
        )
        .values(state=RunState.COMPLETE, finished_at=now)
        .returning(Run.id)
    ).all()
    return len(closed)


def _reopen_runs(session: Session, now: datetime) -> None:
    """Have runs go on whose jobs were begun anew by somebody while they were being closed by another."""
    some_work_is_left = or_(*(first_job(state).is_not(None) for state in UNFINISHED))
    session.execute(
        update(Run)
        .where(Run.state == RunState.COMPLETE, Run.finished_at > now - CLOSED_LATELY, some_work_is_left)
        .values(state=RunState.RUNNING, finished_at=None)
    )


def _is_over(until: InstrumentedAttribute[datetime | None], now: datetime, latest: datetime) -> ColumnElement[bool]:
    """A lease that has ended, or that ends too late to have been given by a clock that is right."""
    return or_(until < now, until > latest)


def _sweep_renditions(session: Session, now: datetime, latest: datetime, max_attempts: int) -> int:
    expired = session.execute(
        select(Rendition)
        .where(Rendition.state == WorkState.WORKING, _is_over(Rendition.lease_until, now, latest))
        .order_by(Rendition.attempts.desc(), Rendition.lease_until)
        .limit(RENDITIONS_AT_ONCE)
        .with_for_update(skip_locked=True)
    ).scalars()
    count = 0
    again: list[tuple[str, str]] = []
    for rendition in expired:
        count += 1
        rendition.lease_token = None
        rendition.lease_until = None
        if rendition.attempts < max_attempts:
            rendition.state = WorkState.WAITING
            again.append((rendition.scan_id, rendition.spec))
            continue
        reason = _PREPARE_SET_ASIDE.format(attempts=rendition.attempts)
        rendition.state = WorkState.REJECTED
        rendition.problem_code = SET_ASIDE_CODE
        rendition.problem = reason
        rendition.finished_at = now
        reject_jobs(session, now, rendition.scan_id, rendition.spec, SET_ASIDE_CODE, reason)
    session.flush()
    if again:
        settle_lanes(session, *these_renditions(again))
    return count


def _sweep_containers(session: Session, now: datetime, latest: datetime, max_attempts: int) -> int:
    expired = session.execute(
        select(Container)
        .where(Container.state == WorkState.WORKING, _is_over(Container.lease_until, now, latest))
        .with_for_update(skip_locked=True)
    ).scalars()
    count = 0
    for container in expired:
        count += 1
        container.lease_token = None
        container.lease_until = None
        if container.attempts < max_attempts:
            container.state = WorkState.WAITING
            continue
        container.state = WorkState.REJECTED
        container.problem_code = SET_ASIDE_CODE
        container.problem = _PREPARE_SET_ASIDE.format(attempts=container.attempts)
        container.finished_at = now
        reject_container_receipt(session, container.id, SET_ASIDE_CODE, container.problem)
    session.flush()
    return count
