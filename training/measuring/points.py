"""Operating points on labelled scans: what a threshold gives, its intervals, and PPV and NPV at other prevalences."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from screening.inference.bundle import Form
from training.measuring.bootstrap import share_interval, share_lower_95
from training.measuring.operating_point import clopper_pearson_lower

LIKELY = "likely"
"""The name under which the threshold of the band "likely" stands among measured points."""


@dataclass(frozen=True)
class Point:
    """A threshold to be measured, and what it was chosen for.

    threshold: one for all scans, or (n,), one for each scan, where every fold has a threshold chosen on other folds.
    """

    name: str
    threshold: float | NDArray[np.float64]
    target_sensitivity: float | None = None
    target_specificity: float | None = None


def points_of(form: Form) -> list[Point]:
    """The thresholds of a deployed form, the likely one last."""
    operating = [Point(p.name, p.threshold, target_sensitivity=p.target_sensitivity) for p in form.operating_points]
    return [*operating, Point(LIKELY, form.likely.threshold, target_specificity=form.likely.target_specificity)]


def thresholds_from_other_folds(
    probabilities: NDArray[np.float64],
    fractured: NDArray[np.bool_],
    folds: NDArray[np.int64],
    choose: Callable[[NDArray[np.float64], NDArray[np.bool_]], float],
) -> NDArray[np.float64]:
    """(n,) for each scan of a cross-validation a threshold that `choose` took from the scans of the other folds.

    What such thresholds give is what a threshold chosen on all of the folds can be expected to give on new scans.
    """
    thresholds = np.empty(len(probabilities))
    for fold in np.unique(folds):
        others = folds != fold
        thresholds[~others] = choose(probabilities[others], fractured[others])
    return thresholds


def restate(sensitivity: float, specificity: float, prevalence: float) -> tuple[float, float]:
    """(PPV, NPV) at another prevalence, by Bayes' rule; nan where nothing or everything is flagged."""
    flagged_right, flagged_wrong = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    missed, passed = (1 - sensitivity) * prevalence, specificity * (1 - prevalence)
    ppv = flagged_right / (flagged_right + flagged_wrong) if flagged_right + flagged_wrong else math.nan
    npv = passed / (passed + missed) if passed + missed else math.nan
    return ppv, npv


def point_row(
    point: Point,
    probabilities: NDArray[np.float64],
    labels: NDArray[np.bool_],
    weights: NDArray[np.float64],
    prevalences: Sequence[float],
) -> dict[str, Any]:
    """One operating point: counts, rates with intervals over groups, lower bounds, and rates at other prevalences.

    Two one-sided 95% lower bounds of the sensitivity are given: Clopper-Pearson, which takes the scans for
    independent, and the 5th percentile over draws of whole groups, which does not.
    """
    flagged = probabilities >= point.threshold
    cells = np.stack([flagged & labels, ~flagged & labels, flagged & ~labels, ~flagged & ~labels], axis=1)
    hits, misses, alarms, _ = (int(count) for count in cells.sum(0))
    drawn = weights @ cells.astype(np.float64)
    pairs = {"sensitivity": (0, 1), "specificity": (3, 2), "ppv": (0, 2), "npv": (3, 1)}
    rates = {name: _rate(cells.sum(0), a, b) for name, (a, b) in pairs.items()}
    fractured = drawn[:, 0] + drawn[:, 1]
    at = {}
    for prevalence in prevalences:
        ppv, npv = restate(rates["sensitivity"], rates["specificity"], prevalence)
        at[f"{prevalence:g}"] = {"ppv": none_if_nan(ppv), "npv": none_if_nan(npv)}
    return {
        "name": point.name,
        "target_sensitivity": point.target_sensitivity,
        "target_specificity": point.target_specificity,
        "threshold": float(np.median(point.threshold)),
        "flagged": hits + alarms,
        "fractured_flagged": hits,
        "fractured_missed": misses,
        **{name: none_if_nan(rate) for name, rate in rates.items()},
        "sensitivity_lower_95": clopper_pearson_lower(hits, hits + misses),
        "sensitivity_lower_95_groups": float(share_lower_95(drawn[:, 0], fractured)) if fractured.any() else None,
        "intervals_95": {
            name: share_interval(drawn[:, a], drawn[:, a] + drawn[:, b]) for name, (a, b) in pairs.items()
        },
        "at_prevalence": at,
    }


def promised_sensitivity(row: dict[str, Any]) -> float:
    """The share of fractures that a measured point (`point_row`) flags at least: the lower of its two lower bounds."""
    bounds = (row["sensitivity_lower_95"], row.get("sensitivity_lower_95_groups"))
    return min(float(bound) for bound in bounds if bound is not None)


def bands(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """The three bands of the worklist by the measured points of `measure_ranking`; empty without a likely point.

    Of each band: how many scans, how many of them fractured, and the share of all fractured scans that it holds.
    """
    rows = {row["name"]: row for row in figures["operating_points"]}
    told, likely = rows[figures["told_at"]], rows.get(LIKELY)
    if likely is None:
        return []
    cuts = (
        ("likely", likely["flagged"], likely["fractured_flagged"]),
        ("possible", told["flagged"] - likely["flagged"], told["fractured_flagged"] - likely["fractured_flagged"]),
        ("not flagged", figures["n"] - told["flagged"], told["fractured_missed"]),
    )
    return [
        {
            "band": band,
            "n": n,
            "fractured": fractured,
            "share_fractured": fractured / n if n else None,
            "share_of_fractures": fractured / figures["fractured"],
        }
        for band, n, fractured in cuts
    ]


def none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _rate(counts: ArrayLike, part: int, rest: int) -> float:
    numbers = np.asarray(counts)
    whole = int(numbers[part] + numbers[rest])
    return float(numbers[part]) / whole if whole else math.nan
