"""The viewer: one scan on black, what the networks said of it, where it came from, and the reader's verdict."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for

from screening import checkpoints, scans
from screening.database.states import WorkState
from screening.errors import Conflict
from screening.reviews import holds, verdicts
from screening.worklist import Filters, neighbours, standing
from web import current, trail
from web.access import needs_role
from web.api.reviews import decide, take_back
from web.band_words import band_meaning
from web.filters import filters_of

blueprint = Blueprint("scan-pages", __name__, url_prefix="/scans")

VERDICT_WORDS = {
    "fracture": "Fracture",
    "no_fracture": "No fracture",
    "unsure": "Unsure",
    "poor_quality": "Poor quality",
}
RENEWALS_PER_HOLD = 3
"""So many times in the length of a hold the page says that its reader is still there; one or two may get lost."""


@blueprint.get("/<string:scan_id>")
def scan(scan_id: str) -> str:
    system, reader = current.system(), current.identity().name
    now, wanted, place = system.clock(), filters_of(request.args), request.args.get("place") or None
    with system.database.read() as session:
        found = scans.get_scan(session, scan_id)
        name = scans.name_of(session, found, wanted.run)
        stands = standing(session, wanted, scan_id)
        renditions = scans.renditions_of(session, scan_id)
        jobs = scans.jobs_of(session, scan_id, 20)
        views = scans.study_of(session, found, stands.checkpoint)
        main = stands.shown
        point = checkpoints.operating_point_facts(session, main.checkpoint) if main else None
        reviews, kept_back = verdicts.seen_by(verdicts.reviews_of(session, scan_id), reader)
        held = holds.holder(session, now, scan_id)
    if "X-Ahead" not in request.headers:
        trail.viewed(scan_id)
    own = next((review for review in reviews if review.reader == reader), None)
    return render_template(
        "scan.html",
        scan=found,
        name=name,
        main=main,
        others_said=stands.others,
        meaning=band_meaning(main.band, point) if main and point else None,
        shown=next((r for r in renditions if r.state == WorkState.READY), None),
        problem=stands.problem,
        jobs=jobs,
        views=views,
        own=own,
        others=[review for review in reviews if review.reader != reader],
        kept_back=kept_back,
        held=held if held and held.reader != reader else None,
        held_for_s=(now - held.held_since).total_seconds() if held else None,
        renew_s=system.settings.hold_s / RENEWALS_PER_HOLD,
        verdict_words=VERDICT_WORDS,
        filters=_filters(),
        queue=wanted.to_read,
        # Before the reader has decided, so that the sample measures what readers see and not what they were told.
        folded=wanted.to_read and own is None,
        steps=_steps(scan_id, wanted, place),
        view_link=_view_links(scan_id, wanted, place),
    )


def _filters() -> str:
    """The worklist's filters as they stand in the address, for the forms and links of this page."""
    query = request.query_string.decode("ascii", "ignore")
    return f"?{query}" if query else ""


@blueprint.post("/<string:scan_id>/reviews")
@needs_role("reader")
def review(scan_id: str) -> Response:
    """The verdict as a plain form, where no script runs."""
    made = decide(scan_id, request.form.get("verdict", ""), request.form.get("comment"), request.form.get("checkpoint"))
    flash(f"Recorded: {VERDICT_WORDS[made.verdict].lower()}.")
    return _back(scan_id)


@blueprint.post("/<string:scan_id>/reviews/<int:review_id>/withdraw")
@needs_role("reader")
def withdraw(scan_id: str, review_id: int) -> Response:
    taken_back = take_back(scan_id, review_id)
    flash(f"Withdrawn: {VERDICT_WORDS[taken_back.verdict].lower()}.")
    return _back(scan_id)


def _back(scan_id: str) -> Response:
    return redirect(url_for("scan-pages.scan", scan_id=scan_id) + _filters())  # type: ignore[return-value]


def _view_links(scan_id: str, filters: Filters, place: str | None) -> Callable[[str], str]:
    """A function that gives the address of another view of the study: the reader's place in the list goes with it."""
    place = place or scan_id

    def link(view: str) -> str:
        query: dict[str, Any] = dict(filters.query())
        if view != place:
            query["place"] = place
        return url_for("scan-pages.scan", scan_id=view, **query)

    return link


def _steps(scan_id: str, filters: Filters, place: str | None) -> dict[str, str]:
    """Addresses of the scans around this one, or around its place, in the worklist under these filters, and of the
    list."""
    system = current.system()
    query: dict[str, Any] = dict(filters.query())
    steps = {"back": url_for("worklist-pages.worklist", **query)}
    with system.database.read() as session:
        try:
            found = neighbours(session, filters, scan_id, system.clock(), place)
        except Conflict:
            return steps
    scans_around = dict(zip(("next", "after"), found.following, strict=False))
    if found.previous:
        scans_around["previous"] = found.previous
    return steps | {name: url_for("scan-pages.scan", scan_id=scan, **query) for name, scan in scans_around.items()}
