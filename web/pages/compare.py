"""Two checkpoints side by side: what another one changes, in words and as a list, and the switch between them."""

from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session

from screening import checkpoints
from screening.activation import left_behind, put_to_use
from screening.comparison.pairs import KINDS, MOVED, Scope, open_comparison
from screening.comparison.ranking import comparison_page
from screening.comparison.summary import summarise
from screening.comparison.words import KIND_WORDS, sentences
from screening.database.tables import Checkpoint
from screening.errors import Refused
from screening.rescreening.candidates import candidate
from screening.runs.lifecycle import get_run, runs_to_offer
from web import current
from web.access import may, needs_role
from web.comparing import remembered

blueprint = Blueprint("compare-pages", __name__, url_prefix="/compare")

ITEMS_PER_PAGE = 50
RUNS_OFFERED = 50


@blueprint.get("")
def compare() -> str:
    """The active checkpoint and the candidate, or any two that the address names."""
    kind = request.args.get("kind") or None
    if kind is not None and kind not in KINDS:
        raise Refused("unknown_kind", f"There is no kind {kind[:40]!r} of change. Choose one of those above the list.")
    with current.system().database.read() as session:
        rows = checkpoints.all_checkpoints(session)
        if len(rows) < 2:
            return render_template("compare.html", rows=rows, comparison=None)
        before, after = _chosen(session, list(rows))
        scope = Scope(run=request.args.get("run", type=int), body_part=request.args.get("body_part") or None)
        comparison = open_comparison(session, before, after, scope, _moved())
        cursor = request.args.get("cursor") or None
        reader = current.identity().name
        page = comparison_page(session, comparison, kind, ITEMS_PER_PAGE, cursor, remembered().ranked_after, reader)
        # Later pages of the list do without: counting every pair takes longer than a page of them.
        rate = current.system().settings.review_sample_rate
        summary = summarise(session, comparison, remembered().count, rate) if cursor is None else None
        # As of this moment, as the activation itself counts: the page offers the box that it asks for.
        offered = [row.id for row in rows if row.id in (before, after) and not row.active]
        left = {one: left_behind(session, one) for one in offered} if may("administrator") and cursor is None else {}
        runs = runs_to_offer(session, RUNS_OFFERED, get_run(session, scope.run) if scope.run is not None else None)
    return render_template(
        "compare.html",
        rows=rows,
        comparison=comparison,
        summary=summary,
        sentences=sentences(summary, current.identity().is_told_every_review) if summary else [],
        page=page,
        kind=kind,
        kinds=KIND_WORDS,
        left=left,
        runs=runs,
        cursor=cursor,
        asked=_asked(before, after, scope, comparison.moved),
    )


@blueprint.post("/activate")
@needs_role("administrator")
def activate() -> Response:
    """Use one of the two for new runs and the worklist, with a reason; the way back is the same."""
    reason = request.form.get("reason", "")
    if not reason.strip():
        raise Refused("no_reason", "A change of the checkpoint in use needs a reason. Say in a few words why.")
    system, who = current.system(), current.identity().name
    meant = request.form.get("leave_unscreened") == "yes"
    chosen = put_to_use(system.database, system.clock(), request.form.get("checkpoint", ""), who, reason, meant)
    flash(f"{chosen.name} ({chosen.form}) is in use now: new runs are screened by it, and the worklist shows it.")
    before, after = request.form.get("before"), request.form.get("after")
    return redirect(url_for("compare-pages.compare", before=before, after=after))  # type: ignore[return-value]


def _chosen(session: Session, rows: list[Checkpoint]) -> tuple[str, str]:
    """The ids in the address; for a missing one the active checkpoint before, the candidate or the newest after."""
    before, after = request.args.get("before"), request.args.get("after")
    if not before:
        active = next((row.id for row in rows if row.active and row.id != after), None)
        before = active or next(row.id for row in rows if row.id != after)
    if not after:
        tried = candidate(session)
        others = [row.id for row in rows if row.id != before]
        after = tried.id if tried is not None and tried.id != before else others[-1]
    return before, after


def _moved() -> float:
    given = request.args.get("moved", "")
    try:
        return float(given) if given else MOVED
    except ValueError:
        # Refused with the same words as a number out of range.
        return float("nan")


def _asked(before: str, after: str, scope: Scope, moved: float) -> dict[str, Any]:
    """What every link of the page repeats; defaults are left out of addresses."""
    return {
        "before": before,
        "after": after,
        "run": scope.run,
        "body_part": scope.body_part,
        "moved": None if moved == MOVED else moved,
    }
