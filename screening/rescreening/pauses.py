"""Why a run is paused, and when it goes on."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from screening.database.schedule_tables import Firing, Schedule
from screening.database.states import RunState
from screening.database.tables import Run
from screening.rescreening.beginning import goes_on
from screening.rescreening.cron import next_due
from screening.rescreening.ending import actor_of


@dataclass(frozen=True)
class Pause:
    """by: the person who paused a run, or None where it is not known; schedule: (id, name) of the one that did."""

    by: str | None
    schedule: tuple[int, str] | None = None
    until: datetime | None = None
    """When the schedule goes on with it; None where a person must."""
    ends_it: bool = False
    """The next firing ends this run and opens another, because another checkpoint or other scans are wanted now."""


def pause_of(session: Session, now: datetime, run: Run) -> Pause | None:
    """None for a run that is not paused."""
    if run.state != RunState.PAUSED:
        return None
    schedule = session.scalar(
        select(Schedule).join(Firing, Firing.schedule_id == Schedule.id).where(Firing.run_id == run.id).limit(1)
    )
    if schedule is None or run.paused_by != actor_of(schedule):
        return Pause(run.paused_by)
    name = (schedule.id, schedule.name)
    if schedule.paused or schedule.deleted_at is not None:
        return Pause(None, name)
    until = next(iter(next_due(schedule.cron, schedule.time_zone, now, 1)), None)
    return Pause(None, name, until, ends_it=not goes_on(session, schedule, run))
