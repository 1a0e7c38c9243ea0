"""Calibration: what mean and peak of a scan's map say together, fitted on scans that did not train the weights."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from training.measuring.bootstrap import share_interval


class Calibration(NamedTuple):
    """sigmoid(slope * logit + peak * largest + offset) is calibrated; largest: the largest value of the scan's map."""

    slope: float
    peak: float
    offset: float


def fit_calibration(
    logits: NDArray[np.float64], largest: NDArray[np.float64], fractured: NDArray[np.bool_]
) -> Calibration:
    """Platt scaling, with Platt's softened targets, of two numbers of each scan: the logit, which is the mean of its
    map, and the map's largest value, because a small fracture speaks up in a cell or two and a mean drowns it.

    All of shape (n,). Where the largest value says nothing for a fracture beside the logit, it is left out (peak 0).
    Raises ValueError when the logits rank the wrong way round (slope <= 0).
    """
    peak = 0.0
    if largest.any():
        slope, peak, offset = _fit(np.stack([logits, largest], axis=1), fractured)
    if peak <= 0 or slope <= 0:
        peak = 0.0
        slope, offset = _fit(logits[:, None], fractured)
    if slope <= 0:
        raise ValueError("the network ranks fractured scans below the others; train it longer before calibrating")
    return Calibration(slope, peak, offset)


def _fit(columns: NDArray[np.float64], fractured: NDArray[np.bool_]) -> list[float]:
    """A weight for each of the columns (n, k), and a constant, by logistic regression without a penalty."""
    positive, negative = int(fractured.sum()), int((~fractured).sum())
    targets = np.where(fractured, (positive + 1) / (positive + 2), 1 / (negative + 2))
    # A target between 0 and 1 is both answers, each with its share as a weight.
    both, answers = np.concatenate([columns, columns]), np.repeat([1, 0], len(columns))
    regression = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8, max_iter=200)
    regression.fit(both, answers, sample_weight=np.concatenate([targets, 1 - targets]))
    return [*map(float, regression.coef_[0]), float(regression.intercept_[0])]


def reliability(
    probabilities: NDArray[np.float64],
    fractured: NDArray[np.bool_],
    weights: NDArray[np.float64] | None = None,
    bins: int = 10,
) -> tuple[float, list[dict[str, Any]]]:
    """Expected calibration error over bins of equally many scans, and the bins of the reliability curve.

    weights: (draws, n) of `group_weights`, for a 95% interval of the observed share of each bin.
    """
    order = np.argsort(probabilities, kind="stable")
    rows = []
    for part in np.array_split(order, bins):
        if not len(part):
            continue
        row: dict[str, Any] = {
            "mean_probability": float(probabilities[part].mean()),
            "observed": float(fractured[part].mean()),
            "count": len(part),
        }
        if weights is not None:
            row["interval_95"] = share_interval(weights[:, part] @ fractured[part], weights[:, part].sum(1))
        rows.append(row)
    error = sum(r["count"] * abs(r["mean_probability"] - r["observed"]) for r in rows) / len(order)
    return float(error), rows
