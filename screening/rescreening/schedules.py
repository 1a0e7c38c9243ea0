"""Schedules: made, changed, paused, run now, deleted by people. What fires is in `firing`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from screening import audit, checkpoints
from screening.database.base import LARGEST_ID
from screening.database.schedule_tables import Firing, Schedule
from screening.database.states import RunState
from screening.database.tables import Run
from screening.errors import Conflict, NotFound, Refused
from screening.rescreening.beginning import goes_on, is_left_alone, unfinished_run
from screening.rescreening.cron import check_cron, check_window_end, next_due, window_until
from screening.rescreening.ending import actor_of, end_firings
from screening.rescreening.selection import Selection
from screening.runs.lifecycle import resume_run

LONGEST_NAME = 100
MOST_SCANS = 100_000_000
CANDIDATE = "candidate"
_ANOTHER = "ends it and opens another."


@dataclass(frozen=True)
class Plan:
    """What a person decides of a schedule."""

    name: str
    cron: str
    time_zone: str
    window_end: str
    """HH:MM on the clocks of the time zone."""
    checkpoint: str = CANDIDATE
    """The id of a checkpoint, or "candidate"."""
    selection: Mapping[str, Any] = field(default_factory=dict)
    most_scans: int | None = None


def add_schedule(session: Session, now: datetime, plan: Plan, actor: str) -> Schedule:
    """Raises Refused for a plan that cannot work, NotFound for an unknown checkpoint."""
    schedule = Schedule(**_checked(session, plan), counts_from=now, created_by=actor, created_at=now)
    session.add(schedule)
    session.flush()
    audit.record(session, now, actor, "schedule.added", str(schedule.id), facts_of(schedule))
    return schedule


def change_schedule(session: Session, now: datetime, schedule_id: int, plan: Plan, actor: str) -> Schedule:
    """Put another plan in the place of this schedule's.

    A run that is under way goes on as it was opened until its window is over, which ends by the new plan. Where other
    scans are selected now, the next firing ends it and opens another.
    """
    schedule = get_schedule(session, schedule_id)
    former = facts_of(schedule)
    for name, value in _checked(session, plan).items():
        setattr(schedule, name, value)
    schedule.counts_from = now
    present = open_firing(session, schedule_id)
    if present is not None:
        present.window_until = window_until(schedule.window_end, schedule.time_zone, present.scheduled_for)
    session.flush()
    audit.record(session, now, actor, "schedule.changed", str(schedule_id), {**facts_of(schedule), "former": former})
    return schedule


def what_holds(session: Session, schedule: Schedule) -> str:
    """For people: what a changed plan means for the run that is under way or paused; empty where there is none."""
    run = unfinished_run(session, schedule)
    if run is None:
        return ""
    left_alone = is_left_alone(run, actor_of(schedule))
    if left_alone:
        now, goes_with_it, then = "stays paused until a person resumes it", "leaves it alone.", "opens another."
    elif is_at_work(session, schedule.id):
        until = f"{schedule.window_end} ({schedule.time_zone})"
        now, goes_with_it, then = f"goes on as it was opened until {until}", "goes on with it.", _ANOTHER
    else:
        now, goes_with_it, then = "is paused", "goes on with it.", _ANOTHER
    same = goes_on(session, schedule, run, left_alone)
    return f" Run {run.id} {now}; the next firing {goes_with_it if same else then}"


def get_schedule(session: Session, schedule_id: int) -> Schedule:
    """Raises NotFound, for one that was deleted too."""
    schedule = session.get(Schedule, schedule_id) if 0 < schedule_id <= LARGEST_ID else None
    if schedule is None or schedule.deleted_at is not None:
        raise NotFound("unknown_schedule", f"There is no schedule {schedule_id}. Look at the list of schedules.")
    return schedule


def all_schedules(session: Session) -> Sequence[Schedule]:
    return session.scalars(select(Schedule).where(Schedule.deleted_at.is_(None)).order_by(Schedule.id)).all()


def firings_of(session: Session, schedule_id: int, limit: int, before: int | None = None) -> Sequence[Firing]:
    """The history of a schedule, the latest first; older than the firing `before` where it is given."""
    statement = select(Firing).where(Firing.schedule_id == schedule_id).order_by(Firing.id.desc()).limit(limit)
    return session.scalars(statement if before is None else statement.where(Firing.id < before)).all()


def pause_schedule(session: Session, now: datetime, schedule_id: int, actor: str) -> Schedule:
    """Fire no more, and pause the run that is under way. Pausing twice is no error, and pauses what was asked for."""
    schedule = get_schedule(session, schedule_id)
    ended = end_firings(session, now, schedule, "schedule_paused")
    if not schedule.paused or ended:
        schedule.paused = True
        audit.record(session, now, actor, "schedule.paused", str(schedule_id))
    return schedule


def resume_schedule(session: Session, now: datetime, schedule_id: int, actor: str) -> Schedule:
    """Fire again, from the next time that is due. What was due while it was paused is not caught up."""
    schedule = get_schedule(session, schedule_id)
    if schedule.paused:
        schedule.paused = False
        schedule.counts_from = now
        audit.record(session, now, actor, "schedule.resumed", str(schedule_id))
    return schedule


def delete_schedule(session: Session, now: datetime, schedule_id: int, actor: str) -> None:
    """Fire no more. Its history and its runs stay; a run that is under way is paused, to be resumed or cancelled."""
    schedule = get_schedule(session, schedule_id)
    end_firings(session, now, schedule, "schedule_deleted")
    schedule.deleted_at = now
    audit.record(session, now, actor, "schedule.deleted", str(schedule_id), facts_of(schedule))


def is_at_work(session: Session, schedule_id: int) -> bool:
    """Whether a firing is open whose run is not paused."""
    return open_firing(session, schedule_id) is not None and held_run(session, schedule_id) is None


def held_run(session: Session, schedule_id: int) -> Run | None:
    """The run of the open firing, where it is paused: a person did so, and may resume it."""
    firing = open_firing(session, schedule_id)
    run = session.get(Run, firing.run_id) if firing is not None and firing.run_id is not None else None
    return run if run is not None and run.state == RunState.PAUSED else None


def open_firing(session: Session, schedule_id: int) -> Firing | None:
    """The firing whose window is open, if there is one; the latest where another is about to take over."""
    is_open = (Firing.schedule_id == schedule_id, Firing.ended_at.is_(None))
    return session.scalar(select(Firing).where(*is_open).order_by(Firing.id.desc()).limit(1))


def run_now(session: Session, now: datetime, schedule_id: int, actor: str) -> Firing:
    """Fire at once, until the window next ends; upkeep opens or resumes the run in a moment.

    While a window is open, a run of it that is paused is resumed instead. Raises Conflict where that run is at work.
    """
    schedule = get_schedule(session, schedule_id)
    present = open_firing(session, schedule_id)
    held = held_run(session, schedule_id)
    if present is not None and held is not None:
        resume_run(session, now, held.id, actor)
        audit.record(session, now, actor, "schedule.run_now", str(schedule_id))
        return present
    if present is not None:
        raise Conflict("fires_already", f"The schedule {schedule.name} is at work already. Look at its latest run.")
    firing = Firing(
        schedule_id=schedule_id,
        scheduled_for=now,
        window_until=window_until(schedule.window_end, schedule.time_zone, now),
        fired_at=now,
        asked_by=actor,
    )
    session.add(firing)
    session.flush()
    audit.record(session, now, actor, "schedule.run_now", str(schedule_id))
    return firing


def preview(plan: Schedule | Plan, after: datetime, count: int = 5) -> list[tuple[datetime, datetime]]:
    """The next windows, (from, until) in UTC, whether or not the schedule is paused. Raises Refused for a bad plan."""
    cron, zone = check_cron(plan.cron, plan.time_zone)
    end = check_window_end(plan.window_end)
    return [(start, window_until(end, zone, start)) for start in next_due(cron, zone, after, count)]


def _checked(session: Session, plan: Plan) -> dict[str, Any]:
    """The columns of a plan. Raises Refused or NotFound."""
    name = " ".join(plan.name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise Refused("bad_name", f"The name of a schedule has 1 to {LONGEST_NAME} characters.")
    if plan.most_scans is not None and not 0 < plan.most_scans <= MOST_SCANS:
        raise Refused("bad_limit", f"The most scans of a night are 1 to {MOST_SCANS:,}; leave it out for no limit.")
    cron, zone = check_cron(plan.cron, plan.time_zone)
    checkpoint_id = None
    if plan.checkpoint != CANDIDATE:
        checkpoint_id = checkpoints.get(session, plan.checkpoint).id
    selection = Selection.from_json(plan.selection)
    selection.refuse_unknown_body_part(session)
    return {
        "name": name,
        "cron": cron,
        "time_zone": zone,
        "window_end": check_window_end(plan.window_end),
        "checkpoint_id": checkpoint_id,
        "selection": selection.as_json(),
        "most_scans": plan.most_scans,
    }


def facts_of(schedule: Schedule) -> dict[str, Any]:
    """The plan of a schedule, by the names of `Plan`."""
    return {
        "name": schedule.name,
        "cron": schedule.cron,
        "time_zone": schedule.time_zone,
        "window_end": schedule.window_end,
        "checkpoint": schedule.checkpoint_id or CANDIDATE,
        "selection": dict(schedule.selection),
        "most_scans": schedule.most_scans,
    }
