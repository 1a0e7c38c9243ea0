"""The checkpoint in use: its figures, its operating points, its limits; and the others."""

from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, url_for

from screening import checkpoints
from web import current
from web.access import needs_role

blueprint = Blueprint("model-pages", __name__, url_prefix="/model")

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
    with current.system().database.read() as session:
        rows = checkpoints.all_checkpoints(session)
        active = next((row for row in rows if row.active), None)
        point = checkpoints.operating_point_facts(session, active.id) if active else {}
    card: dict[str, Any] = active.card if active else {}
    form: dict[str, Any] = card["forms"][active.form] if active else {}
    figures: dict[str, Any] = form.get("figures", {})
    intervals = figures.get("intervals_95", {})
    return render_template(
        "model.html",
        checkpoints=rows,
        active=active,
        point=point,
        thresholds=_thresholds(point) if active else [],
        points=form.get("operating_points", []),
        figures=[
            {"word": word, "value": figures[name], "interval": intervals.get(name)}
            for name, word in _FIGURE_WORDS.items()
            if isinstance(figures.get(name), int | float)
        ],
        measured=figures,
        subgroups=figures.get("subgroups", []),
        card=card,
    )


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


@blueprint.post("/<string:checkpoint_id>/activate")
@needs_role("administrator")
def activate(checkpoint_id: str) -> Response:
    system = current.system()
    with system.database.write() as session:
        chosen = checkpoints.activate(session, system.clock(), checkpoint_id, current.identity().name)
    flash(f"{chosen.name} ({chosen.form}) is in use now. New runs are screened by it.")
    return redirect(url_for("model-pages.model"))  # type: ignore[return-value]
