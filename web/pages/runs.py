"""Runs: the list, the page to drop files on, and the live status."""

from collections.abc import Callable

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound as NoPage

from screening.database.states import Lane
from screening.database.tables import Run
from screening.runs import lifecycle
from screening.runs.admission import rejected_receipts
from screening.runs.progress import counts_by_state, problem_jobs, progress_of
from screening.worklist import Filters, worklist_page
from web import current
from web.access import needs_role
from web.api.runs import steer_run

blueprint = Blueprint("runs-pages", __name__, url_prefix="/runs")

RUNS_PER_PAGE = 40
FIRST_RESULTS = 8
PROBLEMS_SHOWN = 50
POLL_S = {"open": 3, "running": 2, "paused": 10}
"""How often a browser asks how a run goes on; it does not ask about one that has ended."""


@blueprint.get("")
def runs() -> str:
    search = request.args.get("search", "").strip()
    before = request.args.get("before", type=int)
    with current.system().database.read() as session:
        found = lifecycle.list_runs(session, RUNS_PER_PAGE + 1, before, search)
        page = found[:RUNS_PER_PAGE]
        counts = counts_by_state(session, [run.id for run in page])
        return render_template(
            "runs.html",
            runs=page,
            counts=counts,
            search=search,
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
    if run.submitted_at is not None:
        return redirect(url_for("runs-pages.run", run_id=run_id))  # type: ignore[return-value]
    return _upload_page(run)


@blueprint.get("/<int:run_id>")
def run(run_id: int) -> str:
    return _run_page("run.html", run_id)


@blueprint.get("/<int:run_id>/status")
def status(run_id: int) -> str:
    """The part of the page that moves."""
    return _run_page("run_status.html", run_id)


@blueprint.post("/<int:run_id>/<string:action>")
def steer(run_id: int, action: str) -> Response:
    deeds: dict[str, Callable[..., Run]] = {
        "pause": lifecycle.pause_run,
        "resume": lifecycle.resume_run,
        "cancel": lifecycle.cancel_run,
        "submit": lifecycle.submit_run,
    }
    if action not in deeds:
        raise NoPage
    steer_run(deeds[action], run_id)
    return redirect(url_for("runs-pages.run", run_id=run_id))  # type: ignore[return-value]


def _upload_page(run: Run | None) -> str:
    settings = current.system().settings
    return render_template(
        "upload.html", run=run, lanes=[lane.label for lane in Lane], max_file_mb=settings.max_file_mb
    )


def _run_page(template: str, run_id: int) -> str:
    system = current.system()
    with system.database.read() as session:
        found = lifecycle.get_run(session, run_id)
        progress = progress_of(session, system.clock(), found)
        page = worklist_page(session, Filters(run=found.id, band="flagged"), FIRST_RESULTS)
        problems = [
            *(
                {"name": job.file_name, "reason": job.problem, "scan": job.scan_id}
                for job in problem_jobs(session, run_id, PROBLEMS_SHOWN)
            ),
            *(
                {"name": receipt.file_name, "reason": receipt.reason, "scan": None}
                for receipt in rejected_receipts(session, run_id, PROBLEMS_SHOWN)
            ),
        ]
        ended = progress.total - progress.unfinished
        return render_template(
            template,
            run=found,
            progress=progress,
            first=page.items,
            problems=problems[:PROBLEMS_SHOWN],
            problem_count=progress.rejected + progress.failed + progress.refused,
            percent_done=int(100 * ended / progress.total) if progress.total else 0,
            poll_s=POLL_S.get(found.state),
        )
