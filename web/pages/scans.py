"""The viewer: one scan on black, with what the networks said of it and where it came from."""

from typing import Any

from flask import Blueprint, render_template, request, url_for

from screening import checkpoints, scans
from screening.database.states import WorkState
from screening.errors import Conflict
from screening.worklist import neighbours
from web import current
from web.band_words import band_meaning
from web.filters import filters_of

blueprint = Blueprint("scan-pages", __name__, url_prefix="/scans")


@blueprint.get("/<string:scan_id>")
def scan(scan_id: str) -> str:
    with current.system().database.read() as session:
        found = scans.get_scan(session, scan_id)
        predictions = scans.predictions_of(session, scan_id)
        renditions = scans.renditions_of(session, scan_id)
        jobs = scans.jobs_of(session, scan_id, 20)
        main = predictions[0] if predictions else None
        point = checkpoints.operating_point_facts(session, main.checkpoint) if main else None
    return render_template(
        "scan.html",
        scan=found,
        predictions=predictions,
        main=main,
        meaning=band_meaning(main.band, point) if main and point else None,
        shown=next((r for r in renditions if r.state == WorkState.READY), None),
        problem=next((job.problem for job in jobs if job.problem), None),
        jobs=jobs,
        steps=_steps(scan_id),
    )


def _steps(scan_id: str) -> dict[str, str]:
    """Addresses of the scans around this one in the worklist, under the filters of this address, and of the list."""
    system, filters = current.system(), filters_of(request.args)
    query: dict[str, Any] = dict(filters.query())
    steps = {"back": url_for("worklist-pages.worklist", **query)}
    with system.database.read() as session:
        try:
            found = neighbours(session, filters, scan_id, system.clock())
        except Conflict:
            return steps
    scans_around = dict(zip(("next", "after"), found.following, strict=False))
    if found.previous:
        scans_around["previous"] = found.previous
    return steps | {name: url_for("scan-pages.scan", scan_id=scan, **query) for name, scan in scans_around.items()}
