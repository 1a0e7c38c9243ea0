"""Calibration: a temperature and a bias on the logit, fitted on scans that did not train the weights."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.measuring.bootstrap import share_interval


def fit_temperature_and_bias(logits: NDArray[np.float64], fractured: NDArray[np.bool_]) -> tuple[float, float]:
    """(a, b) so that sigmoid(a * logit + b) is calibrated (Platt scaling, with Platt's softened targets).

    Newton's method on the cross-entropy. Raises ValueError when the logits rank the wrong way round (a <= 0).
    """
    positive, negative = int(fractured.sum()), int((~fractured).sum())
    targets = np.where(fractured, (positive + 1) / (positive + 2), 1 / (negative + 2))
    design = np.stack([logits, np.ones_like(logits)], axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(100):
        expected = 1 / (1 + np.exp(-np.clip(design @ weights, -40, 40)))
        slope = design.T @ (expected - targets)
        curvature = (design * (expected * (1 - expected) + 1e-9)[:, None]).T @ design
        step = np.linalg.solve(curvature + 1e-9 * np.eye(2), slope)
        weights = weights - step * min(1.0, 2.0 / float(np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-10:
            break
    if weights[0] <= 0:
        raise ValueError("the network ranks fractured scans below the others; train it longer before calibrating")
    return float(weights[0]), float(weights[1])


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
