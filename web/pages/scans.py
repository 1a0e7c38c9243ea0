"""The viewer: one scan on black, with what the networks said of it and where it came from."""

from flask import Blueprint, render_template

from screening import checkpoints, scans
from screening.database.states import WorkState
from web import current
from web.band_words import band_meaning

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
    )
