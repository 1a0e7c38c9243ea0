"""The worklist: a page of it as JSON, all of it as CSV or JSON."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from flask import Response, stream_with_context
from flask_smorest import Blueprint

from screening.checkpoints import operating_point_facts
from screening.system import System
from screening.worklist import Filters, neighbours, whole_worklist, worklist_page
from web import current, trail
from web.api.schemas import Problem
from web.api.worklist_schemas import ExportQuery, Item, NeighboursDocument, NeighboursQuery, Worklist, WorklistQuery
from web.filters import checked_body_parts, filters_of
from web.spreadsheets import csv_pieces, csv_response

NO_CHECKPOINT = "No checkpoint is active, so nothing is ranked."
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
    "views",
    "verdicts",
    "kept_back",
)


@blueprint.get("/worklist")
@blueprint.arguments(WorklistQuery, location="query")
@blueprint.response(200, Worklist)
@blueprint.alt_response(400, schema=Problem, description="The cursor or a filter is not understood.")
@blueprint.alt_response(404, schema=Problem)
@blueprint.alt_response(
    409, schema=Problem, description=f"{NO_CHECKPOINT} Or another is than when the cursor was made."
)
def worklist(query: dict[str, Any]) -> Any:
    """What could not be screened first, then by falling probability. Follow `next` until it is null."""
    system = current.system()
    filters = _filters(query)
    with system.database.read() as session:
        if filters.body_part:
            checked_body_parts(session, filters)
        page = worklist_page(session, filters, query["limit"], query["cursor"], system.clock())
        return {
            "items": page.items,
            "next": page.next,
            "operating_point": operating_point_facts(session, page.checkpoint),
        }


@blueprint.get("/worklist/neighbours")
@blueprint.arguments(NeighboursQuery, location="query")
@blueprint.response(200, NeighboursDocument)
@blueprint.alt_response(400, schema=Problem, description="A filter is not understood.")
@blueprint.alt_response(404, schema=Problem, description="There is no such run.")
@blueprint.alt_response(409, schema=Problem, description=NO_CHECKPOINT)
def get_neighbours(query: dict[str, Any]) -> Any:
    """What stands before and behind a scan under the filters; in the reading queue, scans that others hold are passed
    over. From a scan that is not in the list, the first that is unread follows."""
    system = current.system()
    with system.database.read() as session:
        return neighbours(session, _filters(query), query["scan"], system.clock(), query["place"])


@blueprint.get("/worklist.csv")
@blueprint.arguments(ExportQuery, location="query")
@blueprint.response(200, content_type="text/csv")
@blueprint.alt_response(404, schema=Problem)
@blueprint.alt_response(409, schema=Problem, description=NO_CHECKPOINT)
def export(query: dict[str, Any]) -> Response:
    """The whole worklist under the filters as CSV, sent as it is read."""
    filters = _exported(query)
    return csv_response(_file_name(filters, "csv"), _lines(current.system(), filters))


@blueprint.get("/worklist.json")
@blueprint.arguments(ExportQuery, location="query")
@blueprint.response(200, Item(many=True))
@blueprint.alt_response(404, schema=Problem)
@blueprint.alt_response(409, schema=Problem, description=NO_CHECKPOINT)
def export_json(query: dict[str, Any]) -> Response:
    """The whole worklist under the filters as one JSON list, sent as it is read."""
    filters = _exported(query)
    name = _file_name(filters, "json")
    trail.exported(name)
    return Response(
        stream_with_context(_pieces(current.system(), filters)),
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _filters(query: dict[str, Any]) -> Filters:
    return filters_of({**query, "from": query["received_from"], "to": query["received_to"]})


def _exported(query: dict[str, Any]) -> Filters:
    """What is wrong is refused here, where an answer with a status is still possible, not in the middle of the file.

    An administrator's export holds every review, as the audit trail does: studies of how readers agree need them all.
    """
    filters = replace(_filters(query), all_reviews=current.identity().is_told_every_review)
    with current.system().database.read() as session:
        if filters.body_part:
            checked_body_parts(session, filters)
        worklist_page(session, filters, 1)
    return filters


def _file_name(filters: Filters, ending: str) -> str:
    return f"worklist-run-{filters.run}.{ending}" if filters.run is not None else f"worklist.{ending}"


def _lines(system: System, filters: Filters) -> Iterator[str]:
    with system.database.read() as session:
        yield from csv_pieces(COLUMNS, whole_worklist(session, filters))


def _pieces(system: System, filters: Filters) -> Iterator[str]:
    schema = Item()
    yield "["
    with system.database.read() as session:
        for number, item in enumerate(whole_worklist(session, filters)):
            yield ("\n" if number == 0 else ",\n") + json.dumps(schema.dump(item))
    yield "\n]\n"
