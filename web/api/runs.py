"""Runs: open, watch, steer."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Response, url_for
from flask_smorest import Blueprint
from sqlalchemy.orm import Session

from screening.database.states import Lane
from screening.database.tables import Run
from screening.database.transactions import committed
from screening.queue import QueueName
from screening.runs import lifecycle
from screening.runs.progress import progress_of
from web import current
from web.api.schemas import NewLane, NewRun, Problem, RunDocument, Runs, RunsQuery
from web.etags import json_with_etag

blueprint = Blueprint("runs", __name__, url_prefix="/api/v1/runs", description="Runs: scans submitted together.")
POLL_AFTER_S = 2


def run_head(run: Run) -> dict[str, Any]:
    """What is known of a run without counting."""
    return {
        "id": run.id,
        "name": run.name,
        "lane": Lane(run.lane).label,
        "state": run.state,
        "checkpoint": run.checkpoint_id,
        "created_by": run.created_by,
        "created_at": run.created_at,
        "submitted_at": run.submitted_at,
        "finished_at": run.finished_at,
        "paused_by": run.paused_by,
        "remark": run.remark,
    }


def run_document(session: Session, now: datetime, run: Run) -> dict[str, Any]:
    progress = progress_of(session, now, run)
    return {
        **run_head(run),
        "counts": progress,
        "rate_per_s": progress.rate_per_s,
        "eta_s": progress.eta_s,
        "oldest_waiting_s": progress.oldest_waiting_s,
    }


@blueprint.post("")
@blueprint.arguments(NewRun)
@blueprint.response(201, RunDocument)
@blueprint.alt_response(400, schema=Problem)
@blueprint.alt_response(409, schema=Problem, description="No checkpoint is active.")
def open_run(given: dict[str, str]) -> tuple[Any, int, dict[str, str]]:
    """Open a run. Files are then sent to it, and at the end it is submitted."""
    system = current.system()
    now = system.clock()
    with system.database.write() as session:
        run = lifecycle.open_run(session, now, given["name"], given["lane"], current.identity().name)
        document = run_document(session, now, run)
    return document, 201, {"Location": _address(run.id)}


@blueprint.get("")
@blueprint.arguments(RunsQuery, location="query")
@blueprint.response(200, Runs)
def list_runs(query: dict[str, Any]) -> Any:
    """The newest runs first."""
    with current.system().database.read() as session:
        runs = lifecycle.list_runs(session, query["limit"] + 1, query["before"], query["search"], query["state"])
        page = runs[: query["limit"]]
        return {
            "items": [run_head(run) for run in page],
            "next": page[-1].id if len(runs) > len(page) else None,
        }


@blueprint.get("/<int:run_id>")
@blueprint.response(200, RunDocument)
@blueprint.alt_response(404, schema=Problem)
def get_run(run_id: int) -> Response:
    """How far a run has come. Ask again with If-None-Match."""
    system = current.system()
    with system.database.read() as session:
        document = run_document(session, system.clock(), lifecycle.get_run(session, run_id))
    return json_with_etag(RunDocument().dump(document))


@blueprint.post("/<int:run_id>/submit")
@blueprint.response(202, RunDocument)
@blueprint.alt_response(409, schema=Problem)
def submit_run(run_id: int) -> tuple[Any, int, dict[str, str]]:
    """Say that no more files will come. Saying so twice is no error."""
    document = _steer(lifecycle.submit_run, run_id)
    return document, 202, {"Location": _address(run_id), "Retry-After": str(POLL_AFTER_S)}


@blueprint.post("/<int:run_id>/pause")
@blueprint.response(200, RunDocument)
@blueprint.alt_response(409, schema=Problem)
def pause_run(run_id: int) -> Any:
    """Start no more work of this run."""
    return _steer(lifecycle.pause_run, run_id)


@blueprint.post("/<int:run_id>/resume")
@blueprint.response(200, RunDocument)
@blueprint.alt_response(409, schema=Problem)
def resume_run(run_id: int) -> Any:
    """Go on with a paused run."""
    return _steer(lifecycle.resume_run, run_id)


@blueprint.post("/<int:run_id>/cancel")
@blueprint.response(200, RunDocument)
@blueprint.alt_response(409, schema=Problem)
def cancel_run(run_id: int) -> Any:
    """End a run: what is not screened yet will not be."""
    return _steer(lifecycle.cancel_run, run_id)


@blueprint.patch("/<int:run_id>")
@blueprint.arguments(NewLane)
@blueprint.response(200, RunDocument)
def change_lane(given: dict[str, str], run_id: int) -> Any:
    """Make a run more or less urgent, for what is not screened yet."""

    def move(session: Session, now: datetime, run_id: int, actor: str) -> Run:
        return lifecycle.change_lane(session, now, run_id, given["lane"], actor)

    return _steer(move, run_id)


def steer_run(deed: Callable[[Session, datetime, int, str], Run], run_id: int) -> Run:
    """Do something to a run in one transaction, and tell the workers afterwards."""
    system, actor = current.system(), current.identity().name
    # A new lane is given to renditions that a worker may be recording, in another order: a deadlock then.
    run = committed(system.database, lambda session: deed(session, system.clock(), run_id, actor))
    system.waker.wake(QueueName.PREPARE, QueueName.SCREEN)
    return run


def _steer(deed: Callable[[Session, datetime, int, str], Run], run_id: int) -> Any:
    run = steer_run(deed, run_id)
    system = current.system()
    with system.database.read() as session:
        return run_document(session, system.clock(), lifecycle.get_run(session, run.id))


def _address(run_id: int) -> str:
    return url_for("runs.get_run", run_id=run_id)
