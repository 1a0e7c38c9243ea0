"""How figures are called and written, in the report and in the model card alike."""

from collections.abc import Sequence

MEASURE_NAMES = {
    "auc": "ROC AUC",
    "average_precision": "Average precision",
    "precision_at_recall_75": "Precision at recall 0.75",
    "recall_at_precision_49": "Recall at precision 0.49",
    "specificity_at_sensitivity_90": "Specificity at sensitivity 0.90",
}
LOCALIZATION_NAMES = {
    "peak_in_box": "The map's peak lies in a fracture box",
    "peak_near_box": "The map's peak lies in a box or within half a cell (16 px of the input) of it",
    "overlap": "Overlap (IoU) of the boxes with the map over half of its maximum",
    "energy_in_box": "Share of the positive map inside the boxes",
}


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def interval(bounds: Sequence[float] | None) -> str:
    return "" if bounds is None else f"{bounds[0]:.3f} to {bounds[1]:.3f}"


def percent(value: float | None) -> str:
    """Tenths of a percent only where they say something."""
    if value is None:
        return "-"
    return f"{100 * value:.2f}%" if 0 < value < 0.01 else f"{100 * value:.1f}%"


def promise(sensitivity: float) -> str:
    """The sentence that the lower threshold carries. Rounded down: a promise is never rounded up."""
    floor = int(sensitivity * 1000) / 10
    return f"At least {floor:.1f}% of fractures are flagged, with 95% confidence, on data like this."


def named_folds(finished: Sequence[int], folds: int) -> str:
    """Which folds of a cross-validation are finished, in words."""
    if len(finished) == folds:
        return f"all {folds} folds"
    return f"fold{'s' if len(finished) > 1 else ''} {', '.join(map(str, finished))} ({len(finished)} of {folds})"
