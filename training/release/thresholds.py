"""The thresholds of a release: what they aim at, how they are chosen, and how honestly they are measured."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.measuring.operating_point import choose_likely_threshold, choose_threshold
from training.measuring.points import LIKELY, Point, promised_sensitivity, thresholds_from_other_folds

TARGETS = {"strict": 0.80, "recall-first": 0.90, "widest": 0.95}
"""The operating points and their target sensitivities."""
DEFAULT_POINT = "recall-first"
LIKELY_SPECIFICITY = 0.95
"""The band "likely" takes at most one in twenty of the scans that are not fractured."""


def _choices() -> dict[str, Callable[[NDArray[np.float64], NDArray[np.bool_]], float]]:
    chosen: dict[str, Callable[[NDArray[np.float64], NDArray[np.bool_]], float]] = {
        name: partial(choose_threshold, target_sensitivity=target) for name, target in TARGETS.items()
    }
    return {**chosen, LIKELY: partial(choose_likely_threshold, target_specificity=LIKELY_SPECIFICITY)}


def _point(name: str, threshold: float | NDArray[np.float64]) -> Point:
    if name == LIKELY:
        return Point(name, threshold, target_specificity=LIKELY_SPECIFICITY)
    return Point(name, threshold, target_sensitivity=TARGETS[name])


def chosen_points(probabilities: NDArray[np.float64], fractured: NDArray[np.bool_]) -> list[Point]:
    """The points of a release, with thresholds chosen on these scans."""
    return _points({name: choose(probabilities, fractured) for name, choose in _choices().items()})


def points_from_other_folds(
    probabilities: NDArray[np.float64], fractured: NDArray[np.bool_], folds: NDArray[np.int64]
) -> list[Point]:
    """The same points with, for each scan, thresholds chosen on other folds than its own: what they give is what a
    threshold chosen on all folds can be expected to give on new scans. There are two folds or more."""
    return _points(
        {
            name: thresholds_from_other_folds(probabilities, fractured, folds, choose)
            for name, choose in _choices().items()
        }
    )


def _points(thresholds: Mapping[str, float | NDArray[np.float64]]) -> list[Point]:
    """A likely scan is a flagged one: where a weak network would have it otherwise, likely begins at the default."""
    likely = np.maximum(thresholds[LIKELY], thresholds[DEFAULT_POINT])
    return [_point(name, likely if name == LIKELY else thresholds[name]) for name in thresholds]


def stated(points: list[Point], rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """(operating points, likely point) as a card states them: thresholds as chosen, rates as measured in `rows`."""
    measured = {row["name"]: row for row in rows}
    operating = []
    for point in points:
        row = measured[point.name]
        rates = {name: row[name] or 0.0 for name in ("sensitivity", "specificity", "ppv", "npv")}
        common = {"threshold": float(np.median(point.threshold)), **rates}
        if point.name == LIKELY:
            likely = {**common, "target_specificity": point.target_specificity}
        else:
            operating.append(
                {
                    **common,
                    "name": point.name,
                    "target_sensitivity": point.target_sensitivity,
                    "sensitivity_lower_95": promised_sensitivity(row),
                }
            )
    return operating, likely
