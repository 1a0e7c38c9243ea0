"""Which renditions are due: those that a run which is not paused needs, however many others wait."""

from typing import NamedTuple

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.orm import Session

from screening.database.states import LIVE_RUNS, JobState, Lane, RunState, WorkState
from screening.database.tables import Checkpoint, Job, Rendition, Run
from screening.ledger.claiming import first_job


class Due(NamedTuple):
    """A rendition that may be claimed now, and how often it was tried."""

    scan_id: str
    spec: str
    attempts: int


_ANY_ATTEMPTS = 2**15 - 1
_PAGE = 8
"""How many times more jobs are looked at than are wanted: other workers hold some of their renditions."""

_LIVE = Run.state.in_(LIVE_RUNS)
_IS_WAITED_FOR = first_job(JobState.PREPARING).is_not(None)
_RUNS = (
    select(Run.id, Checkpoint.rendition_spec.label("spec"))
    .join(Checkpoint, Checkpoint.id == Run.checkpoint_id)
    .where(_LIVE, _IS_WAITED_FOR)
    .order_by(Run.lane, Run.id)
)
# How often the rendition of a job was tried, or NULL where it does not wait. One look into an index for each job, in
# the order of the claims' index: a join may be planned as a reading of everything that waits.
_TRIED = (
    select(Rendition.attempts)
    .where(
        Rendition.scan_id == Job.scan_id,
        Rendition.spec == bindparam("spec"),
        Rendition.state == WorkState.WAITING,
    )
    .correlate(Job)
    .scalar_subquery()
)
_SCANS = (
    select(Job.scan_id)
    .where(
        Job.run_id == bindparam("of_run"),
        Job.state == JobState.PREPARING,
        Job.attempts <= _ANY_ATTEMPTS,
        bindparam("tried") >= _TRIED,
    )
    .order_by(Job.attempts, Job.id)
    .limit(bindparam("most"))
    .offset(bindparam("passed"))
)


def due_renditions(session: Session, limit: int) -> list[Due]:
    """Up to `limit` waiting renditions, locked: the most urgent lane and the least tried first.

    The lanes before the archive come in the order of their index. Of the archive most may wait for nights that are
    paused, so its renditions are found by way of the jobs of runs that are not. What no job waits for any more, such as
    after a run was cancelled, comes last, while the archive is at work anyhow.
    """
    found = _locked(session, _waiting(Lane.ROUTINE), limit)
    if len(found) < limit and _of_archive(session):
        for tried in (0, _ANY_ATTEMPTS):
            found += _needed(session, limit - len(found), tried, found)
            if found:
                return found
        if _leftovers_come(session):
            found = _locked(session, _waiting(Lane.ARCHIVE), limit)
    return found


def waiting_renditions(session: Session) -> bool:
    """Whether any rendition waits that could be claimed now."""
    if session.scalar(_waiting(Lane.ROUTINE).limit(1)) is not None:
        return True
    if not _of_archive(session):
        return False
    for run in session.execute(_RUNS).all():
        one = {"of_run": run.id, "spec": run.spec, "tried": _ANY_ATTEMPTS, "most": 1, "passed": 0}
        if session.scalar(_SCANS, one) is not None:
            return True
    return _leftovers_come(session)


def waiting_up_to(session: Session, limit: int, lane: int = Lane.ARCHIVE) -> int:
    """How many renditions of this lane and those before it are due, counted no further than `limit`.

    Of the archive the jobs that wait for one are counted instead, so that what waits for a paused night is left out.
    """
    some = _waiting(min(lane, Lane.ROUTINE)).limit(limit).subquery()
    found = session.scalar(select(func.count()).select_from(some)) or 0
    if lane < Lane.ARCHIVE:
        return found
    for run_id in session.scalars(
        select(Run.id).where(Run.lane == Lane.ARCHIVE, _LIVE, _IS_WAITED_FOR).order_by(Run.id)
    ).all():
        if found >= limit:
            break
        jobs = select(Job.id).where(Job.run_id == run_id, Job.state == JobState.PREPARING).limit(limit - found)
        found += session.scalar(select(func.count()).select_from(jobs.subquery())) or 0
    return found


def _waiting(last_lane: int) -> Select[*tuple[str, str, int]]:
    return (
        select(Rendition.scan_id, Rendition.spec, Rendition.attempts)
        .where(Rendition.state == WorkState.WAITING, Rendition.lane <= last_lane)
        .order_by(Rendition.lane, Rendition.attempts, Rendition.queued_at)
    )


def _locked(session: Session, waiting: Select[*tuple[str, str, int]], limit: int) -> list[Due]:
    rows = session.execute(waiting.limit(limit).with_for_update(skip_locked=True))
    return [Due(row.scan_id, row.spec, row.attempts) for row in rows]


def _of_archive(session: Session) -> bool:
    """Whether any rendition of the lane archive waits, for whomever."""
    waiting = select(Rendition.scan_id).where(Rendition.state == WorkState.WAITING, Rendition.lane == Lane.ARCHIVE)
    return session.scalar(waiting.limit(1)) is not None


def _needed(session: Session, limit: int, tried: int, held: list[Due]) -> list[Due]:
    """Up to `limit` more, tried at most so often, of the runs that are not paused; locked."""
    found: list[Due] = []
    page = _PAGE * limit
    for run in session.execute(_RUNS).all():
        passed = 0
        while len(found) < limit:
            given = {"of_run": run.id, "spec": run.spec, "tried": tried, "most": page, "passed": passed}
            scans = session.scalars(_SCANS, given).all()
            if not scans:
                break
            mine = {one.scan_id for one in (*held, *found) if one.spec == run.spec}
            wanted = _these(run.spec, set(scans) - mine)
            found += _locked(session, wanted.where(Rendition.attempts <= tried), limit - len(found))
            passed += len(scans)
        if len(found) >= limit:
            break
    return found


def _these(spec: str, scans: set[str]) -> Select[*tuple[str, str, int]]:
    return (
        select(Rendition.scan_id, Rendition.spec, Rendition.attempts)
        .where(Rendition.spec == spec, Rendition.scan_id.in_(scans), Rendition.state == WorkState.WAITING)
        .order_by(Rendition.attempts, Rendition.queued_at)
    )


def _leftovers_come(session: Session) -> bool:
    """Whether the archive is at work, and no paused run waits for any of what is left of it."""
    at_work = session.scalar(select(Run.id).where(Run.lane == Lane.ARCHIVE, _LIVE).limit(1))
    paused = select(Run.id).where(Run.state == RunState.PAUSED, _IS_WAITED_FOR).limit(1)
    return at_work is not None and session.scalar(paused) is None
