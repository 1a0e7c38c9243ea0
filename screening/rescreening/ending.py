"""Firings closed, because their run has ended, their window is over or a person said so; their runs are paused."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from screening.database.schedule_tables import Firing, Schedule
from screening.database.states import RunState
from screening.database.tables import Run
from screening.rescreening.notes import end
from screening.runs.lifecycle import pause_run


def actor_of(schedule: Schedule) -> str:
    """As whom a schedule acts on runs, in the audit trail."""
    return f"schedule {schedule.id}"


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
        end(firing, now, note)
        closed += 1
    return closed


def end_firings(session: Session, now: datetime, schedule: Schedule, note: str) -> int:
    """Close the open firings of a schedule and pause the run that they drive. Returns how many were closed."""
    closed = 0
    for firing in session.scalars(
        select(Firing).where(Firing.schedule_id == schedule.id, Firing.ended_at.is_(None)).with_for_update()
    ):
        run = session.get(Run, firing.run_id) if firing.run_id is not None else None
        if run is not None:
            _pause(session, now, run, schedule)
        end(firing, now, note)
        closed += 1
    return closed


def _pause(session: Session, now: datetime, run: Run, schedule: Schedule) -> None:
    if run.state == RunState.RUNNING:
        pause_run(session, now, run.id, actor_of(schedule))
