"""The worklist as a page: bands, the reading queue and filters in the address, pages by key."""

from typing import Any

from flask import Blueprint, render_template, request, url_for

from screening.checkpoints import active, get, operating_point_facts
from screening.errors import Conflict
from screening.runs.lifecycle import get_run, run_names, runs_to_offer
from screening.worklist import Filters, worklist_page
from screening.worklist.counts import counted_up_to
from web import current
from web.filters import checked_body_parts, filters_of
from web.left_behind import latest_left_behind
from web.watching import latest_counts

blueprint = Blueprint("worklist-pages", __name__, url_prefix="/worklist")

ITEMS_PER_PAGE = 50
RUNS_OFFERED = 50


@blueprint.get("")
def worklist() -> str:
    system = current.system()
    filters = filters_of(request.args)
    with system.database.read() as session:
        run = get_run(session, filters.run) if filters.run is not None else None
        parts = checked_body_parts(session, filters)
        runs = runs_to_offer(session, RUNS_OFFERED, run)
        shown: dict[str, Any] = {"filters": filters, "run": run, "runs": runs, "parts": parts, "link": _links(filters)}
        shown["most_runs"] = RUNS_OFFERED
        try:
            counts, to_read = latest_counts(filters)
        except Conflict:
            return render_template("worklist.html", page=None, **shown)
        cursor = request.args.get("cursor") or None
        page = worklist_page(session, filters, ITEMS_PER_PAGE, cursor, system.clock())
        return render_template(
            "worklist.html",
            page=page,
            checkpoint=get(session, page.checkpoint),
            left=latest_left_behind(session, active(session)),
            counts=counts,
            to_read=to_read,
            most=counted_up_to(filters),
            point=operating_point_facts(session, page.checkpoint),
            names=run_names(session, {item.run for item in page.items}),
            cursor=cursor,
            now=system.clock(),
            **shown,
        )


def _links(filters: Filters) -> Any:
    """A function that gives the address of this list, or of another endpoint under its filters, with some changed."""

    def link(endpoint: str = "worklist-pages.worklist", **changes: Any) -> str:
        return url_for(endpoint, **{**filters.query(), **changes})

    return link
