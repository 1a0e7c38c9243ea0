"""The points of the curves, as few numbers as a drawing needs, so that a card can carry them."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.measuring.bootstrap import share_lower_95
from training.measuring.figures import Sweep, sweep
from training.measuring.operating_point import clopper_pearson_lower

MOST_POINTS = 240
BINS = 25


def curves(
    probabilities: NDArray[np.float64], labels: NDArray[np.bool_], weights: NDArray[np.float64]
) -> dict[str, dict[str, list[float]]]:
    """ROC with its 95% band over draws of groups, precision over recall, rates over the threshold, and histograms."""
    every = sweep(probabilities, labels)
    kept = _kept(every)
    rates, sensitivity = every.false_positive_rate[0, kept], every.sensitivity[0, kept]
    grid = np.linspace(0, 1, 51)
    low, high = _roc_band(sweep(probabilities, labels, weights), grid)
    thresholds = np.linspace(0, 1, 101)
    fractured, others = np.sort(probabilities[labels]), np.sort(probabilities[~labels])
    edges = np.linspace(0, 1, BINS + 1)
    return {
        "roc": {"false_positive_rate": _short([0, *rates]), "sensitivity": _short([0, *sensitivity])},
        "roc_band_95": {"false_positive_rate": _short(grid), "low": _short(low), "high": _short(high)},
        "precision_recall": {"recall": _short(sensitivity), "precision": _short(every.precision[0, kept])},
        "thresholds": {
            "threshold": _short(thresholds),
            "sensitivity": _short(1 - np.searchsorted(fractured, thresholds) / len(fractured)),
            "sensitivity_lower_95": _lower_bounds(thresholds, probabilities[labels], weights[:, labels]),
            "specificity": _short(np.searchsorted(others, thresholds) / len(others)),
        },
        "distribution": {
            "edges": _short(edges),
            "fractured": _short(np.histogram(fractured, edges)[0]),
            "not_fractured": _short(np.histogram(others, edges)[0]),
        },
    }


def _kept(every: Sweep) -> NDArray[np.int64]:
    """Thresholds evenly along the ROC curve, with the first and the last."""
    along = every.false_positive_rate[0] + every.sensitivity[0]
    wanted = np.linspace(along[0], along[-1], min(MOST_POINTS, len(along)))
    return np.unique(np.minimum(np.searchsorted(along, wanted - 1e-12), len(along) - 1))


def _roc_band(drawn: Sweep, grid: NDArray[np.float64]) -> Any:
    rates, sensitivities = drawn.false_positive_rate, drawn.sensitivity
    both = ~np.isnan(rates[:, -1]) & ~np.isnan(sensitivities[:, -1])
    at = [np.interp(grid, x, y) for x, y in zip(rates[both], sensitivities[both], strict=True)]
    return np.percentile(np.array(at), (2.5, 97.5), axis=0)


def _lower_bounds(
    thresholds: NDArray[np.float64], fractured: NDArray[np.float64], weights: NDArray[np.float64]
) -> list[float]:
    """The one-sided 95% lower bound of the sensitivity at each threshold, cut and not rounded: what is promised holds.

    It is the lower of Clopper-Pearson's and that over draws of groups, as in the operating points.
    fractured: (n,) probabilities of the fractured scans; weights: (draws, n), how often each is in a draw of groups.
    """
    caught = fractured >= thresholds[:, None]
    counts, which = np.unique(caught.sum(1), return_inverse=True)
    exact = np.array([clopper_pearson_lower(int(count), len(fractured)) for count in counts])[which]
    by_groups = share_lower_95(caught @ weights.T, weights.sum(1))
    return [math.floor(bound * 1e4) / 1e4 for bound in np.minimum(exact, by_groups)]


def _short(values: Any) -> list[float]:
    return [round(float(value), 4) for value in values]
