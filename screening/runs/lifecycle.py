"""Open, submit, pause, resume and cancel a run."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import case, select, update
from sqlalchemy.orm import Session

from screening import audit, checkpoints
from screening.database.base import LARGEST_ID
from screening.database.states import LIVE_RUNS, UNFINISHED_RUNS, JobState, Lane, RunState, WorkState
from screening.database.tables import Container, Job, Rendition, Run
from screening.errors import Conflict, NotFound, Refused
from screening.ledger.cancelling import cancel_jobs
from screening.ledger.lanes import settle_lanes
from screening.ledger.sweeping import complete_runs

LONGEST_NAME = 200
TAKES_FILES = (Run.state.in_((RunState.OPEN, RunState.PAUSED)), Run.submitted_at.is_(None))
"""Conditions on a run: more files may be sent to it."""


def open_run(session: Session, now: datetime, name: str, lane: str, actor: str) -> Run:
    """Open a run for the active checkpoint. Raises Refused for a bad name or lane, Conflict without a checkpoint."""
    cleaned = " ".join(name.split())
    if len(cleaned) > LONGEST_NAME:
        raise Refused("bad_name", f"The name of a run has at most {LONGEST_NAME} characters. Choose a shorter one.")
    try:
        chosen = Lane.from_label(lane)
    except ValueError as error:
        raise Refused("unknown_lane", f"{str(error)[0].upper()}{str(error)[1:]}.") from None
    run = Run(
        name=cleaned or f"Run of {now:%Y-%m-%d %H:%M} UTC",
        lane=chosen,
        state=RunState.OPEN,
        checkpoint_id=checkpoints.active(session).id,
        created_by=actor,
        created_at=now,
    )
    session.add(run)
    session.flush()
    audit.record(session, now, actor, "run.opened", str(run.id), {"name": run.name, "lane": chosen.label})
    return run


def get_run(session: Session, run_id: int, *, share_locked: bool = False) -> Run:
    """The run; share-locked, nobody else changes it until this transaction ends. Raises NotFound."""
    lock = {"read": True} if share_locked else None
    run = session.get(Run, run_id, with_for_update=lock) if 0 < run_id <= LARGEST_ID else None
    if run is None:
        raise unknown_run(run_id)
    return run


def unknown_run(run_id: int) -> NotFound:
    return NotFound("unknown_run", f"There is no run {run_id}. Open one, or look at the list of runs.")


def list_runs(
    session: Session, limit: int = 50, before: int | None = None, search: str = "", state: str | None = None
) -> Sequence[Run]:
    """The newest runs, older than run `before` and in `state` where they are given, whose name contains `search`."""
    statement = select(Run).order_by(Run.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(Run.id < before)
    if state is not None:
        statement = statement.where(Run.state == state)
    if search:
        statement = statement.where(Run.name.icontains(search, autoescape=True))
    return session.scalars(statement).all()


def runs_to_offer(session: Session, limit: int, chosen: Run | None) -> list[Run]:
    """The newest runs for a person to choose from, and the one that is chosen already, however old."""
    runs = list(list_runs(session, limit))
    return runs if chosen is None or any(run.id == chosen.id for run in runs) else [*runs, chosen]


def run_names(session: Session, run_ids: Collection[int]) -> dict[int, str]:
    rows = session.execute(select(Run.id, Run.name).where(Run.id.in_(run_ids)))
    return {row.id: row.name for row in rows}


def runs_in_state(session: Session, states: Sequence[RunState], limit: int) -> Sequence[Run]:
    """The newest runs in any of these states."""
    return session.scalars(select(Run).where(Run.state.in_(states)).order_by(Run.id.desc()).limit(limit)).all()


def unfinished_uploads(session: Session, person: str, limit: int) -> Sequence[Run]:
    """The newest runs that this person opened and that still take files."""
    return session.scalars(
        select(Run).where(*TAKES_FILES, Run.created_by == person).order_by(Run.id.desc()).limit(limit)
    ).all()


def submit_run(session: Session, now: datetime, run_id: int, actor: str) -> Run:
    """Say that no more files will come. Submitting twice is no error; an empty run is complete at once."""
    run = get_run(session, run_id)
    if run.submitted_at is None:
        # As it is at this moment: it may be paused, resumed or cancelled since it was read.
        state = case((Run.state == RunState.PAUSED, RunState.PAUSED.value), else_=RunState.RUNNING.value)
        first = session.scalar(
            update(Run)
            .where(Run.id == run_id, Run.submitted_at.is_(None), Run.state != RunState.CANCELLED)
            .values(submitted_at=now, state=state)
            .returning(Run.id)
        )
        # A client that got no answer asks again, perhaps while its first request is still at work.
        if first is not None:
            audit.record(session, now, actor, "run.submitted", str(run_id))
        complete_runs(session, now)
        session.refresh(run)
    if run.state == RunState.CANCELLED:
        raise Conflict("run_cancelled", f"Run {run_id} was cancelled. Open a new run.")
    return run


def pause_run(session: Session, now: datetime, run_id: int, actor: str) -> Run:
    """Start no more work of this run; what is being screened is finished.

    The last to pause it is kept: a schedule does not go on with what a person has paused.
    """
    run = _move(session, now, run_id, LIVE_RUNS, RunState.PAUSED, "run.paused", actor)
    run.paused_by = actor
    return run


def resume_run(session: Session, now: datetime, run_id: int, actor: str) -> Run:
    run = get_run(session, run_id)
    # Locked: as what it goes on is not decided while it is being submitted.
    session.refresh(run, with_for_update=True)
    target = RunState.OPEN if run.submitted_at is None else RunState.RUNNING
    run = _move(session, now, run_id, (RunState.PAUSED,), target, "run.resumed", actor)
    run.paused_by = None
    return run


def cancel_run(session: Session, now: datetime, run_id: int, actor: str) -> Run:
    """End a run: what is not screened yet will not be. Scans and predictions stay."""
    run = _move(
        session,
        now,
        run_id,
        UNFINISHED_RUNS,
        RunState.CANCELLED,
        "run.cancelled",
        actor,
    )
    cancel_jobs(session, now, [run_id])
    session.execute(
        update(Container)
        .where(Container.run_id == run_id, Container.state == WorkState.WAITING)
        .values(state=WorkState.REJECTED, problem_code="cancelled", problem="The run was cancelled.", finished_at=now)
    )
    return run


def change_lane(session: Session, now: datetime, run_id: int, lane: str, actor: str) -> Run:
    """Make a run more or less urgent, for what is not screened yet."""
    run = get_run(session, run_id)
    try:
        run.lane = Lane.from_label(lane)
    except ValueError as error:
        raise Refused("unknown_lane", f"{str(error)[0].upper()}{str(error)[1:]}.") from None
    session.flush()
    session.execute(
        update(Container)
        .where(Container.run_id == run_id, Container.state.in_((WorkState.WAITING, WorkState.WORKING)))
        .values(lane=run.lane)
    )
    waiting = select(Job.scan_id).where(Job.run_id == run_id, Job.state == JobState.PREPARING)
    settle_lanes(session, Rendition.scan_id.in_(waiting))
    audit.record(session, now, actor, "run.lane_changed", str(run_id), {"lane": lane})
    return run


def _move(
    session: Session,
    now: datetime,
    run_id: int,
    allowed: tuple[RunState, ...],
    target: RunState,
    action: str,
    actor: str,
) -> Run:
    run = get_run(session, run_id)
    if run.state == target:
        return run
    finished = {"finished_at": now} if target == RunState.CANCELLED else {}
    moved = session.scalar(
        update(Run).where(Run.id == run_id, Run.state.in_(allowed)).values(state=target, **finished).returning(Run.id)
    )
    session.refresh(run)
    if moved is None:
        raise Conflict("run_state", f"Run {run_id} is {run.state}; that cannot be done any more.")
    audit.record(session, now, actor, action, str(run_id))
    return run
