"""The worklist: a page of it as JSON, all of it as CSV."""

from collections.abc import Iterator
from typing import Any

from flask import Response
from flask_smorest import Blueprint

from screening.bands import BandFilter
from screening.checkpoints import operating_point_facts
from screening.runs.lifecycle import get_run
from screening.system import System
from screening.worklist import whole_worklist, worklist_page
from web import current
from web.api.schemas import ExportQuery, Problem, Worklist, WorklistQuery
from web.spreadsheets import csv_pieces, csv_response

blueprint = Blueprint("worklist", __name__, url_prefix="/api/v1", description="Scans ranked for follow-up.")

COLUMNS = (
    "scan",
    "run",
    "file_name",
    "band",
    "probability",
    "reason",
    "body_part",
    "view",
    "laterality",
    "study",
    "received_at",
)


@blueprint.get("/worklist")
@blueprint.arguments(WorklistQuery, location="query")
@blueprint.response(200, Worklist)
@blueprint.alt_response(400, schema=Problem, description="The cursor is not understood.")
@blueprint.alt_response(404, schema=Problem)
def worklist(query: dict[str, Any]) -> Any:
    """What could not be screened first, then by falling probability. Follow `next` until it is null."""
    with current.system().database.read() as session:
        run = get_run(session, query["run"]) if query["run"] is not None else None
        page = worklist_page(session, run, query["band"], query["limit"], query["cursor"])
        return {
            "items": page.items,
            "next": page.next,
            "operating_point": operating_point_facts(session, page.checkpoint),
        }


@blueprint.get("/worklist.csv")
@blueprint.arguments(ExportQuery, location="query")
@blueprint.response(200, content_type="text/csv")
@blueprint.alt_response(404, schema=Problem)
def export(query: dict[str, Any]) -> Response:
    """The whole worklist as CSV, sent as it is read."""
    system = current.system()
    run_id: int | None = query["run"]
    with system.database.read() as session:
        # Refused here, where an answer with a status is still possible, and not in the middle of the file.
        run = get_run(session, run_id) if run_id is not None else None
        worklist_page(session, run, query["band"], 1)
    name = f"worklist-run-{run_id}.csv" if run_id is not None else "worklist.csv"
    return csv_response(name, _lines(system, run_id, query["band"]))


def _lines(system: System, run_id: int | None, band: BandFilter | None) -> Iterator[str]:
    with system.database.read() as session:
        run = get_run(session, run_id) if run_id is not None else None
        yield from csv_pieces(COLUMNS, whole_worklist(session, run, band))
