"""The worklist: a page of it as JSON, all of it as CSV."""

import csv
import io
from collections.abc import Iterator
from typing import Any

from flask import Response, stream_with_context
from flask_smorest import Blueprint

from screening.checkpoints import operating_point_facts
from screening.runs.lifecycle import get_run
from screening.system import System
from screening.worklist import Band, WorklistItem, whole_worklist, worklist_page
from web import current
from web.api.schemas import ExportQuery, Problem, Worklist, WorklistQuery

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
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


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
    return Response(
        stream_with_context(_lines(system, run_id, query["band"])),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _lines(system: System, run_id: int | None, band: Band | None) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    with system.database.read() as session:
        run = get_run(session, run_id) if run_id is not None else None
        for item in whole_worklist(session, run, band):
            writer.writerow(_cell(item, column) for column in COLUMNS)
            if buffer.tell() > 1 << 16:
                yield buffer.getvalue()
                buffer.seek(0)
                buffer.truncate()
    yield buffer.getvalue()


def _cell(item: WorklistItem, column: str) -> str:
    """A value as text. What a spreadsheet would take for a formula is quoted, because file names come from anybody."""
    value = getattr(item, column)
    if value is None:
        return ""
    if column == "received_at":
        return str(value.isoformat())
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
