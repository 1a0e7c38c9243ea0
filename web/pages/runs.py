"""Runs: the list, the page to drop files on, the live status, the receipts."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask_wtf.csrf import generate_csrf
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound as NoPage

from screening.database.states import NOT_SCREENED, Lane, RunState
from screening.database.tables import Run
from screening.errors import Refused
from screening.runs import lifecycle
from screening.runs.progress import counts_by_state
from screening.runs.receipts import CHOICES, receipt_counts, receipts_of, rejected_files, with_outcomes
from web import current
from web.access import background, needs_role
from web.api.runs import steer_run
from web.row_numbers import row_number
from web.run_board import RunView, run_board

blueprint = Blueprint("runs-pages", __name__, url_prefix="/runs")

RUNS_PER_PAGE = 40
RECEIPTS_PER_PAGE = 200
UPLOADS_OFFERED = 5
POLL_S = {"open": 3.0, "running": 2.0, "paused": 10.0}
"""How often a browser asks how a run goes on; it does not ask about one that has ended."""
SLOWEST_POLL_S = 10.0


@blueprint.get("")
def runs() -> str:
    search = request.args.get("search", "").strip()
    before = row_number("before")
    state = request.args.get("state") or None
    if state is not None and state not in list(RunState):
        raise Refused("unknown_state", f"There is no state “{state[:40]}”. Choose one of {', '.join(RunState)}.")
    with current.system().database.read() as session:
        found = lifecycle.list_runs(session, RUNS_PER_PAGE + 1, before, search, state)
        page = found[:RUNS_PER_PAGE]
        counts = counts_by_state(session, [run.id for run in page])
        return render_template(
            "runs.html",
            runs=page,
            counts=counts,
            rejected=rejected_files(session, [run.id for run in page]),
            search=search,
            state=state,
            states=list(RunState),
            before=before,
            next=page[-1].id if len(found) > len(page) else None,
        )


@blueprint.get("/new")
@needs_role("operator")
def new() -> str:
    return _upload_page(None)


@blueprint.get("/<int:run_id>/add")
@needs_role("operator")
def add(run_id: int) -> str | Response:
    """Send more files to an open run, or the same folder again after the browser was closed."""
    with current.system().database.read() as session:
        run = lifecycle.get_run(session, run_id)
    if run.submitted_at is not None or run.state == RunState.CANCELLED:
        return redirect(url_for("runs-pages.run", run_id=run_id))  # type: ignore[return-value]
    return _upload_page(run)


@blueprint.get("/<int:run_id>")
def run(run_id: int) -> str:
    view = run_board().view(run_id)
    return render_template("run.html", lanes=_lanes(), **_status(view), tag=_tag(view))


@blueprint.get("/<int:run_id>/status")
@background
def status(run_id: int) -> Response:
    """The part of the page that moves; 304 where it did not."""
    board = run_board()
    view = board.view(run_id)
    tag = _tag(view)
    # Looked at before anything is rendered: most polls end here.
    if request.if_none_match.contains(tag):
        response = Response(status=304)
    else:
        page = board.rendered(run_id, tag, generate_csrf(), lambda: render_template("run_status.html", **_status(view)))
        response = Response(page)
    response.set_etag(tag)
    return response


@blueprint.get("/<int:run_id>/receipts")
def receipts(run_id: int) -> str:
    """What became of every file that was sent to the run."""
    status = request.args.get("status") or None
    if status is not None and status not in CHOICES:
        raise Refused("unknown_status", f"There are no receipts “{status[:40]}”. Choose one of {', '.join(CHOICES)}.")
    after = row_number("after") or 0
    with current.system().database.read() as session:
        found = lifecycle.get_run(session, run_id)
        rows = receipts_of(session, run_id, after, RECEIPTS_PER_PAGE + 1, status)
        page = rows[:RECEIPTS_PER_PAGE]
        return render_template(
            "receipts.html",
            run=found,
            receipts=with_outcomes(session, run_id, page),
            counts=receipt_counts(session, run_id),
            unscreened=sum(counts_by_state(session, [run_id])[run_id].get(state, 0) for state in NOT_SCREENED),
            status=status,
            after=after,
            next=page[-1].id if len(rows) > len(page) else None,
        )


@blueprint.post("/<int:run_id>/<string:action>")
def steer(run_id: int, action: str) -> Response:
    deeds: dict[str, Callable[[Session, datetime, int, str], Run]] = {
        "pause": lifecycle.pause_run,
        "resume": lifecycle.resume_run,
        "cancel": lifecycle.cancel_run,
        "submit": lifecycle.submit_run,
        "lane": _change_lane,
    }
    if action not in deeds:
        raise NoPage
    steer_run(deeds[action], run_id)
    return redirect(url_for("runs-pages.run", run_id=run_id))  # type: ignore[return-value]


def _change_lane(session: Session, now: datetime, run_id: int, actor: str) -> Run:
    return lifecycle.change_lane(session, now, run_id, request.form.get("lane", ""), actor)


def _lanes() -> list[str]:
    return [lane.label for lane in Lane]


def _upload_page(run: Run | None) -> str:
    system = current.system()
    with system.database.read() as session:
        unfinished = [] if run else lifecycle.unfinished_uploads(session, current.identity().name, UPLOADS_OFFERED)
        counts = counts_by_state(session, [one.id for one in unfinished])
    return render_template(
        "upload.html",
        run=run,
        unfinished=[(one, sum(counts[one.id].values())) for one in unfinished],
        lanes=_lanes(),
        max_file_mb=system.settings.max_file_mb,
    )


def _status(view: RunView) -> dict[str, object]:
    return {
        "run": view.run,
        "progress": view.progress,
        "first": view.first,
        "problems": view.problems,
        "pause": view.pause,
        "percent_done": view.percent,
        "poll_s": _poll_s(view),
    }


def _poll_s(view: RunView) -> float | None:
    """A run that has long to go is asked about less often: about as often as a fortieth of what is left takes."""
    least = POLL_S.get(view.run.state)
    if least is None or view.progress.eta_s is None:
        return least
    return round(min(max(least, view.progress.eta_s / 40), SLOWEST_POLL_S), 1)


def _tag(view: RunView) -> str:
    """What a role may do is on the page, too."""
    return f"{view.tag}-{current.identity().role}"
