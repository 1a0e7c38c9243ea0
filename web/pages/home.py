"""Home: what runs now, and what needs a person."""

from flask import Blueprint, render_template

from screening import workers
from screening.database.states import RunState
from screening.errors import Conflict
from screening.runs.lifecycle import list_runs, runs_in_state
from screening.runs.progress import progress_of
from screening.worklist import band_counts, worklist_page
from web import current

blueprint = Blueprint("home", __name__)

RUNS_SHOWN = 6
FIRST_SHOWN = 6
NEEDED = {"prepare", "screen"}
"""Without these kinds of workers no run goes on."""


@blueprint.get("/")
def home() -> str:
    system = current.system()
    now = system.clock()
    with system.database.read() as session:
        live = runs_in_state(session, (RunState.OPEN, RunState.RUNNING, RunState.PAUSED), RUNS_SHOWN)
        progress = {run.id: progress_of(session, now, run) for run in live}
        try:
            counts = band_counts(session)
            first = worklist_page(session, limit=FIRST_SHOWN).items
        except Conflict:
            counts, first = None, []
        return render_template(
            "home.html",
            live=live,
            progress=progress,
            recent=list_runs(session, RUNS_SHOWN),
            counts=counts,
            first=first,
            missing_workers=sorted(NEEDED - {worker.kind for worker in workers.alive(session, now)}),
        )
