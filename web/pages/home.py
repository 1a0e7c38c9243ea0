"""Home: what runs now, what needs a person, what the last night brought, and what is due tonight."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, render_template
from sqlalchemy.orm import Session

from screening import workers
from screening.checkpoints import active
from screening.database.states import UNFINISHED_RUNS
from screening.errors import Conflict
from screening.rescreening.notes import NOTES, WRONG
from screening.rescreening.schedules import all_schedules
from screening.rescreening.tallies import ended_lately
from screening.runs.lifecycle import list_runs, runs_in_state
from screening.system import System
from screening.worklist import Filters, band_counts, worklist_page
from screening.worklist.counts import counted_up_to
from web import current
from web.api.schedules import windows
from web.filters import filters_of
from web.left_behind import latest_left_behind
from web.run_board import run_board
from web.watching import drift_warnings

blueprint = Blueprint("home", __name__)

RUNS_SHOWN = 6
FIRST_SHOWN = 6
UNREAD = Filters(reviewed="unreviewed")
TONIGHT = timedelta(hours=24)
NEEDED = {"prepare", "screen"}
"""Without these kinds of workers no run goes on."""


@blueprint.get("/")
def home() -> str:
    system = current.system()
    now, queue = system.clock(), filters_of({"view": "to_read"})
    with system.database.read() as session:
        live = runs_in_state(session, UNFINISHED_RUNS, RUNS_SHOWN)
    progress = {run.id: run_board().view(run.id).progress for run in live}
    with system.database.read() as session:
        try:
            left = latest_left_behind(session, active(session))
            counts, unread = band_counts(session), band_counts(session, UNREAD)
            first = worklist_page(session, queue, FIRST_SHOWN).items
        except Conflict:
            left, counts, unread, first = None, None, None, []
        return render_template(
            "home.html",
            drift=drift_warnings(),
            tonight=_due_tonight(session, system),
            last_night=ended_lately(session, now),
            notes=NOTES,
            wrong=WRONG,
            live=live,
            progress=progress,
            recent=list_runs(session, RUNS_SHOWN),
            counts=counts,
            unread=unread,
            most_unread=counted_up_to(UNREAD),
            left=left,
            first=first,
            missing_workers=sorted(NEEDED - {worker.kind for worker in workers.alive(session, now)}),
        )


def _due_tonight(session: Session, system: System) -> list[dict[str, Any]]:
    """The schedules whose next window begins within a day, the soonest first."""
    coming = [
        {"id": schedule.id, "name": schedule.name, **windows(schedule, system)[0]}
        for schedule in all_schedules(session)
        if not schedule.paused
    ]
    return sorted((one for one in coming if one["start"] - system.clock() < TONIGHT), key=lambda one: one["start"])
