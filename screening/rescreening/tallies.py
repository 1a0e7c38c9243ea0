"""What came of a night: the jobs that ended while its firing was open, and the latest nights for a summary."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from screening.checkpoints import active
from screening.database.schedule_tables import Firing, Schedule
from screening.database.states import NOT_SCREENED, JobState
from screening.database.tables import Job, Run
from screening.errors import Conflict

IN_HAND = timedelta(minutes=2)
"""Batches that were in hand when a window ended are recorded within this time, and count for its night."""
LATELY = timedelta(hours=24)
MOST_LATELY = 6
_COUNTED_AT_ONCE = 10
_STATES = (JobState.SCREENED, *NOT_SCREENED)


@dataclass(frozen=True)
class EndedNight:
    """A firing that ended, with its schedule's name and where its run is compared."""

    firing: Firing
    schedule: str
    comparison: dict[str, str | int] | None


def count_what_ended(session: Session, now: datetime) -> int:
    """Keep the counts of firings that are over for a moment. Once for each; returns for how many."""
    over = session.scalars(
        select(Firing)
        .where(Firing.ended_at <= now - IN_HAND, Firing.run_id.is_not(None), Firing.screened.is_(None))
        .order_by(Firing.id.desc())
        .limit(_COUNTED_AT_ONCE)
        .with_for_update(skip_locked=True)
    ).all()
    for firing in over:
        if firing.ended_at is None:
            continue
        # What one that was followed had in hand counts for the one that followed it.
        until = firing.ended_at if firing.note == "followed" else firing.ended_at + IN_HAND
        within = Job.finished_at.between(firing.fired_at, until)
        rows = session.execute(
            select(Job.state, func.count()).where(Job.run_id == firing.run_id, within).group_by(Job.state)
        )
        counts: dict[str, int] = {row.state: row[1] for row in rows}
        firing.screened, firing.rejected, firing.failed = (counts.get(state, 0) for state in _STATES)
    return len(over)


def comparisons_of(session: Session, firings: Sequence[Firing]) -> dict[int, dict[str, str | int]]:
    """For each of these runs, what the page that compares it with the checkpoint in use is asked for.

    Not for a run of that checkpoint itself, nor where none is in use.
    """
    try:
        in_use = active(session).id
    except Conflict:
        return {}
    rows = session.execute(
        select(Run.id, Run.checkpoint_id).where(Run.id.in_({one.run_id for one in firings if one.run_id is not None}))
    )
    return {
        row.id: {"run": row.id, "before": in_use, "after": row.checkpoint_id}
        for row in rows
        if row.checkpoint_id != in_use
    }


def ended_lately(session: Session, now: datetime) -> list[EndedNight]:
    """The latest firings of the last 24 hours that ended and were not followed at once by another, the latest first."""
    rows = session.execute(
        select(Firing, Schedule.name)
        .join(Schedule, Schedule.id == Firing.schedule_id)
        .where(Firing.ended_at > now - LATELY, Firing.note != "followed", Schedule.deleted_at.is_(None))
        .order_by(Firing.ended_at.desc(), Firing.id.desc())
        .limit(MOST_LATELY)
    ).all()
    compared = comparisons_of(session, [row.Firing for row in rows])
    return [EndedNight(row.Firing, row.name, compared.get(row.Firing.run_id)) for row in rows]
