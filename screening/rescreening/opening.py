"""Opening a run over the archive: a few statements for any number of scans, none of which is loaded."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, insert, literal, or_, select, text, update
from sqlalchemy.orm import Session, aliased

from screening import audit
from screening.database.inserting import insert_into
from screening.database.states import JobState, Lane, RunState, WorkState
from screening.database.tables import Checkpoint, Job, Prediction, Rendition, Run, Scan
from screening.ledger.reviving import WITHOUT_ORIGINAL, revive_renditions
from screening.rescreening.selection import Selection


@dataclass(frozen=True)
class Opened:
    """A run over the archive: how many jobs it has, and for how many of them a rendition must be made first."""

    run_id: int
    jobs: int
    renditions: int


def open_over_archive(
    session: Session,
    now: datetime,
    name: str,
    checkpoint: Checkpoint,
    selection: Selection,
    most_scans: int | None,
    actor: str,
) -> Opened | None:
    """Open a running run of the lane archive over the selected scans; None, and no run, where there are none.

    Left out is what this checkpoint has screened already, so that a later run goes on with what is left, and what it
    cannot screen (its rendition was rejected, or its job was set aside): that was reported in the run that found it.
    What was rejected for want of its original comes in again once that is back.
    With a limit the latest scans are taken. The caller's transaction is the unit: all of this is there afterwards, or
    nothing.
    """
    run = Run(
        name=name,
        lane=Lane.ARCHIVE,
        state=RunState.RUNNING,
        checkpoint_id=checkpoint.id,
        created_by=actor,
        created_at=now,
        submitted_at=now,
    )
    session.add(run)
    session.flush()
    wanted = [*selection.conditions(session, now), *_unscreened(checkpoint)]
    jobs = _insert_jobs(session, now, run, checkpoint.rendition_spec, wanted, most_scans)
    if jobs == 0:
        session.delete(run)
        session.flush()
        return None
    renditions = _ask_for_renditions(session, now, run, checkpoint.rendition_spec)
    if session.get_bind().dialect.name == "postgresql":
        # A table that grows at once by a million rows has statistics that make the next claims read all of them.
        session.execute(text("ANALYZE jobs, renditions"))
    if renditions:
        run.remark = (
            f"The renditions of {renditions:,} scans are made anew from their originals first, because this checkpoint "
            "needs others than those that were there."
        )
    detail = {"name": name, "lane": Lane.ARCHIVE.label, "jobs": jobs, "renditions": renditions}
    audit.record(session, now, actor, "run.opened", str(run.id), detail)
    return Opened(run.id, jobs, renditions)


def _unscreened(checkpoint: Checkpoint) -> list[ColumnElement[bool]]:
    failed = aliased(Job)
    return [
        ~exists().where(Prediction.scan_id == Scan.id, Prediction.checkpoint_id == checkpoint.id),
        ~exists().where(
            failed.scan_id == Scan.id,
            failed.state == JobState.FAILED,
            failed.run_id.in_(select(Run.id).where(Run.checkpoint_id == checkpoint.id)),
        ),
    ]


def _insert_jobs(
    session: Session, now: datetime, run: Run, spec: str, wanted: list[ColumnElement[bool]], most: int | None
) -> int:
    """One INSERT ... SELECT. A job whose rendition is there is queued, any other is preparing.

    Without a limit the rows come in the order of the scans' ids, in which the indexes of a million jobs are written
    from end to end instead of all over the place.
    """
    state = case((Rendition.state == WorkState.READY, JobState.QUEUED.value), else_=JobState.PREPARING.value)
    source = (
        select(literal(run.id), Scan.id, Scan.file_name, state, literal(0), literal(now))
        .select_from(Scan)
        .outerjoin(Rendition, and_(Rendition.scan_id == Scan.id, Rendition.spec == spec))
        .where(
            or_(
                Rendition.state.is_(None),
                Rendition.state != WorkState.REJECTED,
                Rendition.problem_code.in_(WITHOUT_ORIGINAL),
            ),
            # Without its original a scan has only the renditions that were made before.
            or_(Scan.original_removed_at.is_(None), Rendition.state == WorkState.READY),
            *wanted,
        )
        .order_by(*((Scan.id,) if most is None else (Scan.received_at.desc(), Scan.id)))
        .limit(most)
    )
    columns = ["run_id", "scan_id", "file_name", "state", "attempts", "created_at"]
    session.execute(insert(Job).from_select(columns, source, include_defaults=False))
    # Erased while that statement ran: whoever erases a scan later waits for the foreign keys of these jobs.
    erased = select(Scan.id).where(Scan.erased_at.is_not(None))
    session.execute(delete(Job).where(Job.run_id == run.id, Job.scan_id.in_(erased)))
    return session.scalar(select(func.count()).where(Job.run_id == run.id)) or 0


def _ask_for_renditions(session: Session, now: datetime, run: Run, spec: str) -> int:
    """Have the missing renditions made. Returns how many jobs wait for one.

    A conflicting row is updated to what it was, which locks it: whoever finishes that rendition does so either before
    the last statement here, which then sees it, or after this transaction, and then sees this run's jobs.
    """
    waiting = (
        select(
            Job.scan_id,
            literal(spec),
            literal(WorkState.WAITING.value),
            literal(int(Lane.ARCHIVE)),
            literal(now),
            literal(0),
        )
        .where(Job.run_id == run.id, Job.state == JobState.PREPARING)
        .order_by(Job.scan_id)
    )
    statement = insert_into(session, Rendition).from_select(
        ["scan_id", "spec", "state", "lane", "queued_at", "attempts"], waiting, include_defaults=False
    )
    session.execute(statement.on_conflict_do_update(index_elements=["scan_id", "spec"], set_={"lane": Rendition.lane}))
    wanted = select(Job.scan_id).where(Job.run_id == run.id, Job.state == JobState.PREPARING)
    this = (Rendition.spec == spec, Rendition.scan_id.in_(wanted))
    revive_renditions(session, now, Lane.ARCHIVE, WITHOUT_ORIGINAL, *this)
    _settle(session, now, run, spec, WorkState.READY)
    _settle(session, now, run, spec, WorkState.REJECTED)
    left = select(func.count()).where(Job.run_id == run.id, Job.state == JobState.PREPARING)
    return session.scalar(left) or 0


def _settle(session: Session, now: datetime, run: Run, spec: str, state: WorkState) -> None:
    """Jobs whose rendition was finished while this run was being opened go where it sends them."""
    this = and_(Rendition.scan_id == Job.scan_id, Rendition.spec == spec, Rendition.state == state)
    values: dict[str, Any] = {"state": JobState.QUEUED}
    if state == WorkState.REJECTED:
        values = {
            "state": JobState.REJECTED,
            "finished_at": now,
            "problem_code": select(Rendition.problem_code).where(this).scalar_subquery(),
            "problem": select(Rendition.problem).where(this).scalar_subquery(),
        }
    session.execute(
        update(Job)
        .where(Job.run_id == run.id, Job.state == JobState.PREPARING, exists(select(Rendition.scan_id).where(this)))
        .values(values)
        .execution_options(synchronize_session=False)
    )
