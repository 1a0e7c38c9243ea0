"""The checkpoint in use: its figures, its operating points, its limits; and the others."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for

from screening import checkpoints
from screening.activation import left_behind, put_to_use
from screening.errors import Conflict, Refused
from screening.rescreening import candidates
from screening.reviews.measured import measured
from screening.threshold_choice import choices
from web import current
from web.access import needs_role
from web.charts import curve_charts, distribution_charts
from web.filters import filters_of
from web.left_behind import open_for_the_rest
from web.watching import latest_counts, latest_scores

blueprint = Blueprint("model-pages", __name__, url_prefix="/model")

PERIODS: tuple[int | None, ...] = (30, 90, 365, None)
"""Days over which reviews are looked at; None for all."""
DEFAULT_DAYS = 90

_FIGURE_WORDS = {
    "auc": "AUC (area under the ROC curve)",
    "average_precision": "Average precision",
    "precision_at_recall_75": "Precision at 75% sensitivity",
    "recall_at_precision_49": "Sensitivity at 49% precision",
    "specificity_at_sensitivity_90": "Specificity at 90% sensitivity",
    "brier": "Brier score",
    "calibration_error": "Calibration error",
}


@blueprint.get("")
def model() -> str:
    days = _days(request.args.get("days"))
    system = current.system()
    with system.database.read() as session:
        rows = checkpoints.all_checkpoints(session)
        active = next((row for row in rows if row.active), None)
        if active is None:
            return render_template("model.html", active=None)
        point = checkpoints.operating_point_facts(session, active.id)
        since = None if days is None else system.clock() - timedelta(days=days)
        in_use = measured(session, active.id, system.settings.review_sample_rate, since)
        unread = latest_counts(filters_of({}))[1]
        scores = latest_scores(active.id)
        offered = choices(session, active, scores)
    card: dict[str, Any] = active.card
    form: dict[str, Any] = card["forms"][active.form]
    figures: dict[str, Any] = form.get("figures", {})
    intervals = figures.get("intervals_95", {})
    return render_template(
        "model.html",
        checkpoints=rows,
        active=active,
        point=point,
        thresholds=_thresholds(point),
        points=form.get("operating_points", []),
        figures=[
            {"word": word, "value": figures[name], "interval": intervals.get(name)}
            for name, word in _FIGURE_WORDS.items()
            if isinstance(figures.get(name), int | float)
        ],
        measured=figures,
        subgroups=figures.get("subgroups", []),
        card=card,
        charts=[
            *curve_charts(figures, point),
            *distribution_charts(figures, scores.counts, point["threshold"], point["likely_threshold"]),
        ],
        scores=scores,
        choices=offered,
        days=days,
        periods=PERIODS,
        in_use=in_use,
        unread=unread,
        sample_rate=system.settings.review_sample_rate,
    )


def _days(given: str | None) -> int | None:
    if given in (None, ""):
        return DEFAULT_DAYS
    if given == "all":
        return None
    if given not in {str(days) for days in PERIODS if days is not None}:
        raise Refused("unknown_period", f"There is no period {str(given)[:40]!r}. Choose one of the page.")
    return int(str(given))


@blueprint.post("/operating-point")
@needs_role("administrator")
def set_operating_point() -> Response:
    """Put the chosen threshold of the active checkpoint in force; lists are ranked by it at once."""
    system = current.system()
    try:
        threshold = float(request.form.get("threshold", ""))
    except ValueError:
        raise Refused("bad_threshold", "A threshold is a probability. Give a value from 0 to 1.") from None
    with system.database.write() as session:
        active = checkpoints.active(session)
        if request.form.get("checkpoint") != active.id:
            raise Conflict("other_checkpoint", "Another checkpoint came into use meanwhile. Look at its page first.")
        checkpoints.set_operating_point(
            session,
            system.clock(),
            active.id,
            threshold,
            None,
            request.form.get("reason", ""),
            current.identity().name,
        )
    flash("The threshold is in force now, and lists are ranked by it. The change is in the audit trail.")
    return redirect(url_for("model-pages.model"))  # type: ignore[return-value]


def _thresholds(point: dict[str, Any]) -> list[dict[str, Any]]:
    """The two thresholds in force as rows of a table, with None for what the card did not measure."""
    likely = point["likely"] or {}
    measures = ("sensitivity", "specificity", "ppv")
    return [
        {
            "word": "Flagged",
            "threshold": point["threshold"],
            "aim": "sensitivity",
            "target": point.get("target_sensitivity"),
            **{name: point.get(name) for name in measures},
        },
        {
            "word": "Likely",
            "threshold": point["likely_threshold"],
            "aim": "specificity",
            "target": likely.get("target_specificity"),
            **{name: likely.get(name) for name in measures},
        },
    ]


@blueprint.get("/<string:checkpoint_id>/activate")
@needs_role("administrator")
def before_activation(checkpoint_id: str) -> str:
    """What putting it to use would leave to former checkpoints, and the button that does it."""
    with current.system().database.read() as session:
        chosen, left = checkpoints.get(session, checkpoint_id), left_behind(session, checkpoint_id)
    return render_template("model_activate.html", chosen=chosen, left=left)


@blueprint.post("/<string:checkpoint_id>/activate")
@needs_role("administrator")
def activate(checkpoint_id: str) -> Response:
    system, who = current.system(), current.identity().name
    meant = request.form.get("leave_unscreened") == "yes"
    chosen = put_to_use(system.database, system.clock(), checkpoint_id, who, request.form.get("reason", ""), meant)
    flash(f"{chosen.name} ({chosen.form}) is in use now. New runs are screened by it.")
    return redirect(url_for("model-pages.model"))  # type: ignore[return-value]


@blueprint.post("/screen-rest")
@needs_role("operator")
def screen_rest() -> Response:
    """Have what only former checkpoints have screened screened by the one in use, and show the run."""
    opened = open_for_the_rest()
    flash(f"{opened.jobs:,} scans are screened with the checkpoint in use, behind more urgent runs.")
    return redirect(url_for("runs-pages.run", run_id=opened.run_id))  # type: ignore[return-value]


@blueprint.post("/<string:checkpoint_id>/nominate")
@needs_role("administrator")
def nominate(checkpoint_id: str) -> Response:
    """Have schedules try it on the archive; its results stay out of the worklist."""
    system = current.system()
    with system.database.write() as session:
        chosen = candidates.nominate(session, system.clock(), checkpoint_id, current.identity().name)
    flash(f"{chosen.name} ({chosen.form}) is the candidate now. Schedules for the candidate screen the archive by it.")
    return redirect(url_for("model-pages.model"))  # type: ignore[return-value]


@blueprint.post("/candidate/withdraw")
@needs_role("administrator")
def withdraw() -> Response:
    system = current.system()
    with system.database.write() as session:
        candidates.withdraw(session, system.clock(), current.identity().name)
    flash("There is no candidate now. What it screened is kept.")
    return redirect(url_for("model-pages.model"))  # type: ignore[return-value]
