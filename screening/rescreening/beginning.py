"""Firings begun: a run is opened over the archive, or the schedule's unfinished one goes on."""

from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from screening.database.schedule_tables import Firing, Schedule
from screening.database.states import UNFINISHED_RUNS, RunState
from screening.database.tables import Checkpoint, Run
from screening.errors import Refused
from screening.rescreening.candidates import candidate
from screening.rescreening.ending import actor_of
from screening.rescreening.notes import end
from screening.rescreening.opening import open_over_archive
from screening.rescreening.selection import Selection
from screening.rescreening.survey import survey
from screening.runs.lifecycle import cancel_run, resume_run

log = structlog.get_logger()


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
    former = unfinished_run(session, schedule)
    left_alone = former is not None and is_left_alone(former, actor) and firing.asked_by is None
    checkpoint = wanted_checkpoint(session, schedule, former, left_alone)
    if checkpoint is None:
        return end(firing, now, "no_candidate")
    session.execute(
        update(Firing)
        .where(Firing.schedule_id == schedule.id, Firing.id < firing.id, Firing.ended_at.is_(None))
        .values(ended_at=now, note="followed")
    )
    if former is not None and former.checkpoint_id == checkpoint.id and not plan_changed(session, schedule, former):
        firing.run_id = former.id
        if left_alone:
            # The firing stays open: what a person resumes within its window is paused at its end.
            return False
        if former.state == RunState.PAUSED:
            resume_run(session, now, former.id, firing.asked_by or actor)
        return True
    if former is not None and not is_left_alone(former, actor):
        # Another checkpoint or other scans are wanted now. What the former run has screened stays; a person's pause is
        # left alone.
        cancel_run(session, now, former.id, actor)
    return _open(session, now, firing, schedule, checkpoint)


def _open(session: Session, now: datetime, firing: Firing, schedule: Schedule, checkpoint: Checkpoint) -> bool:
    """Open a run over what is selected, and say what is left out. Whether there is anything to do."""
    actor = actor_of(schedule)
    try:
        selection = Selection.from_json(schedule.selection)
        found = survey(session, now, checkpoint, selection)
        name = f"{schedule.name}, {now:%Y-%m-%d}"
        opened = open_over_archive(session, now, name, checkpoint, selection, schedule.most_scans, actor)
    except Refused as error:
        log.warning("schedule cannot open a run", schedule=schedule.name, error=str(error))
        return end(firing, now, "refused")
    firing.remark = found.remark
    if opened is None:
        empty = "nothing_possible" if found.left_out else "nothing_to_do"
        return end(firing, now, empty if found.selected else "empty_selection")
    firing.run_id, firing.jobs, firing.renditions = opened.run_id, opened.jobs, opened.renditions
    firing.plan = plan_of(schedule)
    if found.remark is not None:
        run = session.get_one(Run, opened.run_id)
        run.remark = " ".join(filter(None, (run.remark, found.remark)))
    log.info("run opened over the archive", run=opened.run_id, jobs=opened.jobs, renditions=opened.renditions)
    return True


def wanted_checkpoint(
    session: Session, schedule: Schedule, former: Run | None, left_alone: bool = False
) -> Checkpoint | None:
    """By which checkpoint the next firing screens; None where the schedule wants the candidate and there is none.

    A candidate that was put to use in the middle of its night goes on first: the rest of the archive is worth most to
    the checkpoint that is in use. Where a person paused that night, it holds up no other candidate.
    """
    if schedule.checkpoint_id is not None:
        return session.get_one(Checkpoint, schedule.checkpoint_id)
    begun = session.get_one(Checkpoint, former.checkpoint_id) if former is not None else None
    in_use = begun if begun is not None and begun.active else None
    if in_use is not None and not left_alone:
        return in_use
    return candidate(session) or in_use


def goes_on(session: Session, schedule: Schedule, run: Run, left_alone: bool = False) -> bool:
    """Whether the next firing of this schedule keeps to its unfinished run, and opens no other.

    left_alone: a person has paused it.
    """
    checkpoint = wanted_checkpoint(session, schedule, run, left_alone)
    if checkpoint is None:
        return True
    return checkpoint.id == run.checkpoint_id and not plan_changed(session, schedule, run)


def plan_of(schedule: Schedule) -> dict[str, Any]:
    """What of a schedule decides which scans its run holds."""
    return {"selection": dict(schedule.selection), "most_scans": schedule.most_scans}


def plan_changed(session: Session, schedule: Schedule, run: Run) -> bool:
    """Whether the schedule selects other scans now than when it opened this run; not where that is not known."""
    opener = session.scalars(
        select(Firing)
        .where(Firing.run_id == run.id, Firing.schedule_id == schedule.id, Firing.jobs.is_not(None))
        .order_by(Firing.id)
        .limit(1)
    ).first()
    return opener is not None and opener.plan is not None and opener.plan != plan_of(schedule)


def is_left_alone(run: Run, actor: str) -> bool:
    """Whether a person paused it."""
    return run.state == RunState.PAUSED and run.paused_by != actor


def unfinished_run(session: Session, schedule: Schedule) -> Run | None:
    return session.scalar(
        select(Run)
        .join(Firing, Firing.run_id == Run.id)
        .where(Firing.schedule_id == schedule.id, Run.state.in_(UNFINISHED_RUNS))
        .order_by(Run.id.desc())
        .limit(1)
    )
