"""What a checkpoint's card measured at which threshold: its operating points, and the curve over all thresholds."""

from typing import Any


def measured_at(form: dict[str, Any], threshold: float) -> dict[str, Any] | None:
    """What the card measured at exactly this threshold: figures of another one would be another promise.

    form: one form's part of a card. An operating point has a name, a point of the curve has none. None where the card
    knows neither.
    """
    points = [*form["operating_points"], *curve_points(form)]
    return next((point for point in points if point["threshold"] == threshold), None)


def curve_points(form: dict[str, Any]) -> list[dict[str, float]]:
    """Sensitivity, its lower bound and specificity at evenly spaced thresholds; empty for cards without the bounds.

    They are of pooled scans, at one threshold for all, while the operating points of a cross-validated card are
    measured at thresholds chosen on other folds.
    """
    curve = form.get("figures", {}).get("curves", {}).get("thresholds", {})
    names = ("threshold", "sensitivity", "sensitivity_lower_95", "specificity")
    if not all(name in curve for name in names):
        return []
    return [dict(zip(names, values, strict=True)) for values in zip(*(curve[name] for name in names), strict=True)]
