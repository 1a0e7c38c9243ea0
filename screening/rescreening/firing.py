"""Firings: recorded once, their runs opened or gone on with, and paused when their window ends.

Three steps, each safe to be cut off and done again by anybody. A firing is recorded by its unique row alone, in a
transaction that takes no time, so that upkeep processes never wait for each other; its run is opened in the next one
together with the firing's reference to it. Whatever stands between is finished by the next tick.
"""

from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from screening.database.engine import Database
from screening.database.inserting import insert_into
from screening.database.schedule_tables import Firing, Schedule
from screening.database.states import RunState
from screening.database.tables import Checkpoint, Run
from screening.database.transactions import committed
from screening.errors import Refused
from screening.rescreening.candidates import candidate
from screening.rescreening.cron import latest_due, window_until
from screening.rescreening.opening import open_over_archive
from screening.rescreening.selection import Selection
from screening.runs.lifecycle import cancel_run, pause_run, resume_run

log = structlog.get_logger()

LATE_AFTER = timedelta(minutes=2)
"""A firing that comes later than this after its time was missed, and is caught up."""
NOTES = {
    "complete": "the run is complete",
    "window_over": "the window is over; the run goes on in the next one",
    "missed": "missed: nothing was running while its window was open",
    "nothing_to_do": "nothing to do: the checkpoint has screened every selected scan",
    "no_candidate": "there is no candidate",
    "refused": "the selection cannot be used at present",
    "paused_by_person": "a person paused the run, so it was left alone",
    "run_cancelled": "a person cancelled the run",
    "followed": "the next firing took over",
    "schedule_paused": "the schedule was paused",
    "schedule_deleted": "the schedule was deleted",
    "clock_set_back": "the clock was set back",
}
_UNFINISHED_RUNS = (RunState.OPEN, RunState.RUNNING, RunState.PAUSED)


def actor_of(schedule: Schedule) -> str:
    """As whom a schedule acts on runs, in the audit trail."""
    return f"schedule {schedule.id}"


def tick(database: Database, now: datetime) -> bool:
    """Do all that is due at `now`; any number of processes may do so at once. Whether workers have something new."""
    committed(database, lambda session: record_due(session, now))
    committed(database, lambda session: end_windows(session, now))
    with database.read() as session:
        waiting = session.scalars(
            select(Firing.id).where(Firing.ended_at.is_(None), Firing.run_id.is_(None)).order_by(Firing.id)
        ).all()
    began = [committed(database, partial(begin, now=now, firing_id=firing_id)) for firing_id in waiting]
    return any(began)


def record_due(session: Session, now: datetime) -> int:
    """Record the latest time that each schedule was due, unless it is recorded. Returns how many were new.

    Only the latest: what was missed before it is not made up for. One whose window is over already is recorded as
    missed and does nothing.
    """
    new = 0
    for schedule in session.scalars(select(Schedule).where(Schedule.deleted_at.is_(None), ~Schedule.paused)):
        due = latest_due(schedule.cron, schedule.time_zone, now)
        if due is None or due <= schedule.counts_from:
            continue
        until = window_until(schedule.window_end, schedule.time_zone, due)
        missed = until <= now
        values = {
            "schedule_id": schedule.id,
            "scheduled_for": due,
            "window_until": until,
            "fired_at": now,
            "late": now - due > LATE_AFTER,
            "ended_at": now if missed else None,
            "note": "missed" if missed else None,
        }
        insert = insert_into(session, Firing).values(values)
        if session.scalar(insert.on_conflict_do_nothing().returning(Firing.id)) is not None:
            new += 1
            log.info("schedule fired", schedule=schedule.name, scheduled_for=str(due), missed=missed)
    return new


def begin(session: Session, now: datetime, firing_id: int) -> bool:
    """Open the run of a recorded firing, or go on with its schedule's unfinished one. Whether work began."""
    firing = session.scalar(
        select(Firing)
        .where(Firing.id == firing_id, Firing.ended_at.is_(None), Firing.run_id.is_(None))
        .with_for_update(skip_locked=True)
    )
    if firing is None:
        return False
    schedule = session.get_one(Schedule, firing.schedule_id)
    actor = actor_of(schedule)
    checkpoint = _checkpoint(session, schedule)
    if checkpoint is None:
        return _end(firing, now, "no_candidate")
    session.execute(
        update(Firing)
        .where(Firing.schedule_id == schedule.id, Firing.id < firing.id, Firing.ended_at.is_(None))
        .values(ended_at=now, note="followed")
    )
    former = _unfinished_run(session, schedule)
    if former is not None and former.checkpoint_id == checkpoint.id:
        return _go_on(session, now, firing, former, actor)
    if former is not None and (former.state != RunState.PAUSED or former.paused_by == actor):
        # Another checkpoint is wanted now. What the former one has screened stays; a person's pause is left alone.
        cancel_run(session, now, former.id, actor)
    try:
        selection = Selection.from_json(schedule.selection)
        name = f"{schedule.name}, {now:%Y-%m-%d}"
        opened = open_over_archive(session, now, name, checkpoint, selection, schedule.most_scans, actor)
    except Refused as error:
        log.warning("schedule cannot open a run", schedule=schedule.name, error=str(error))
        return _end(firing, now, "refused")
    if opened is None:
        return _end(firing, now, "nothing_to_do")
    firing.run_id, firing.jobs, firing.renditions = opened.run_id, opened.jobs, opened.renditions
    log.info("run opened over the archive", run=opened.run_id, jobs=opened.jobs, renditions=opened.renditions)
    return True


def end_windows(session: Session, now: datetime) -> int:
    """Close firings whose run has ended or whose window is over, and pause their runs. Returns how many were closed."""
    closed = 0
    for firing, schedule in session.execute(
        select(Firing, Schedule)
        .join(Schedule, Schedule.id == Firing.schedule_id)
        .where(Firing.ended_at.is_(None))
        .with_for_update(of=Firing, skip_locked=True)
    ).all():
        run = session.get(Run, firing.run_id) if firing.run_id is not None else None
        # A firing that lies more than its own window ahead was made by a clock that was wrong then or is wrong now.
        from_the_future = firing.scheduled_for - now > firing.window_until - firing.scheduled_for
        if run is not None and run.state == RunState.COMPLETE:
            note = "complete"
        elif run is not None and run.state == RunState.CANCELLED:
            note = "run_cancelled"
        elif from_the_future:
            note = "clock_set_back"
        elif firing.window_until > now:
            continue
        elif run is None:
            note = "missed"
        else:
            note = "paused_by_person" if run.state == RunState.PAUSED else "window_over"
        if run is not None and note in ("window_over", "clock_set_back"):
            _pause(session, now, run, schedule)
        _end(firing, now, note)
        closed += 1
    return closed


def end_firings(session: Session, now: datetime, schedule: Schedule, note: str) -> None:
    """Close the open firings of a schedule and pause the run that they drive."""
    for firing in session.scalars(
        select(Firing).where(Firing.schedule_id == schedule.id, Firing.ended_at.is_(None)).with_for_update()
    ):
        run = session.get(Run, firing.run_id) if firing.run_id is not None else None
        if run is not None:
            _pause(session, now, run, schedule)
        _end(firing, now, note)


def _go_on(session: Session, now: datetime, firing: Firing, run: Run, actor: str) -> bool:
    """Resume a run that a schedule paused, or that a person has asked for; one that a person paused is left alone."""
    firing.run_id = run.id
    if run.state == RunState.PAUSED:
        if run.paused_by != actor and firing.asked_by is None:
            return _end(firing, now, "paused_by_person")
        resume_run(session, now, run.id, firing.asked_by or actor)
    return True


def _unfinished_run(session: Session, schedule: Schedule) -> Run | None:
    return session.scalar(
        select(Run)
        .join(Firing, Firing.run_id == Run.id)
        .where(Firing.schedule_id == schedule.id, Run.state.in_(_UNFINISHED_RUNS))
        .order_by(Run.id.desc())
        .limit(1)
    )


def _checkpoint(session: Session, schedule: Schedule) -> Checkpoint | None:
    if schedule.checkpoint_id is None:
        return candidate(session)
    return session.get_one(Checkpoint, schedule.checkpoint_id)


def _pause(session: Session, now: datetime, run: Run, schedule: Schedule) -> None:
    if run.state == RunState.RUNNING:
        pause_run(session, now, run.id, actor_of(schedule))


def _end(firing: Firing, now: datetime, note: str) -> bool:
    firing.ended_at = now
    firing.note = note
    return False
