"""The worklist as a page: bands and runs as filters in the address, pages by key."""

from flask import Blueprint, render_template, request

from screening.bands import BAND_FILTERS
from screening.checkpoints import operating_point_facts
from screening.errors import Conflict, Refused
from screening.runs.lifecycle import get_run, run_names, runs_to_offer
from screening.worklist import band_counts, worklist_page
from web import current

blueprint = Blueprint("worklist-pages", __name__, url_prefix="/worklist")

ITEMS_PER_PAGE = 50
RUNS_OFFERED = 50


@blueprint.get("")
def worklist() -> str:
    band = request.args.get("band") or None
    if band is not None and band not in BAND_FILTERS:
        raise Refused("unknown_band", f"There is no band {band[:40]!r}. Choose one of the bands above the list.")
    run_id = request.args.get("run", type=int)
    with current.system().database.read() as session:
        run = get_run(session, run_id) if run_id is not None else None
        runs = runs_to_offer(session, RUNS_OFFERED, run)
        try:
            counts = band_counts(session, run)
        except Conflict:
            return render_template("worklist.html", page=None, runs=runs, run=run, band=band)
        cursor = request.args.get("cursor") or None
        page = worklist_page(session, run, band, ITEMS_PER_PAGE, cursor)
        return render_template(
            "worklist.html",
            page=page,
            counts=counts,
            point=operating_point_facts(session, page.checkpoint),
            names=run_names(session, {item.run for item in page.items}),
            runs=runs,
            run=run,
            band=band,
            cursor=cursor,
        )
