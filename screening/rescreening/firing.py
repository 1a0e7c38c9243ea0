"""Firings: recorded once, their runs opened or gone on with, and paused when their window ends.

Three steps, each safe to be cut off and done again by anybody. A firing is recorded by its unique row alone, in a
transaction that takes no time, so that upkeep processes never wait for each other; its run is opened in the next one
together with the firing's reference to it. Whatever stands between is finished by the next tick.
"""

from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from screening.database.engine import Database
from screening.database.inserting import insert_into
from screening.database.schedule_tables import Firing, Schedule
from screening.database.transactions import committed
from screening.rescreening.beginning import begin
from screening.rescreening.cron import latest_due, window_until
from screening.rescreening.ending import end_windows
from screening.rescreening.tallies import count_what_ended

log = structlog.get_logger()

LATE_AFTER = timedelta(minutes=2)
"""A firing that comes later than this after its time was missed, and is caught up."""


def tick(database: Database, now: datetime) -> bool:
    """Do all that is due at `now`; any number of processes may do so at once. Whether workers have something new."""
    committed(database, lambda session: record_due(session, now))
    committed(database, lambda session: end_windows(session, now))
    committed(database, lambda session: count_what_ended(session, now))
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
