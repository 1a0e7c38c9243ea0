"""What thresholds give: counts by hand, bounds by scipy, thresholds of other folds, bands."""

import numpy as np
import pytest
from scipy.stats import beta

from training.measuring.bootstrap import group_weights
from training.measuring.points import (
    Point,
    bands,
    point_row,
    promised_sensitivity,
    restate,
    thresholds_from_other_folds,
)

PROBABILITIES = np.array([0.9, 0.7, 0.6, 0.4, 0.3, 0.2])
LABELS = np.array([True, False, True, True, False, False])
WEIGHTS = group_weights(list("abcdef"), draws=400)


def row(point: Point) -> dict:
    return point_row(point, PROBABILITIES, LABELS, WEIGHTS, (0.1,))


def test_a_row_counts_by_hand() -> None:
    found = row(Point("middle", 0.5, target_sensitivity=0.6))
    assert (found["flagged"], found["fractured_flagged"], found["fractured_missed"]) == (3, 2, 1)
    rates = [found[name] for name in ("sensitivity", "specificity", "ppv", "npv")]
    assert rates == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2 / 3])
    assert found["target_sensitivity"] == 0.6
    low, high = found["intervals_95"]["sensitivity"]
    assert low < 2 / 3 < high


def test_the_lower_bound_is_scipys() -> None:
    assert row(Point("middle", 0.5))["sensitivity_lower_95"] == pytest.approx(beta.ppf(0.05, 2, 2), abs=1e-9)


def test_the_promise_is_the_lower_of_the_bounds() -> None:
    labels = np.tile([True, True, True, True, False], 40)
    probabilities = np.where(np.arange(200) // 20 == 3, 0.1, 0.9)  # one group of ten is missed whole
    groups = [str(i // 20) for i in range(200)]
    found = point_row(Point("p", 0.5), probabilities, labels, group_weights(groups), ())
    assert found["sensitivity_lower_95_groups"] < found["sensitivity_lower_95"]
    assert promised_sensitivity(found) == found["sensitivity_lower_95_groups"]
    assert promised_sensitivity({"sensitivity_lower_95": 0.8}) == 0.8


def test_rates_without_cases_are_left_open() -> None:
    nothing = row(Point("nothing", 1.0))
    assert nothing["ppv"] is None
    assert nothing["at_prevalence"] == {"0.1": {"ppv": None, "npv": pytest.approx(0.9)}}


def test_every_scan_may_have_its_own_threshold() -> None:
    own = np.array([0.95, 0.5, 0.5, 0.1, 0.5, 0.5])
    assert row(Point("own", own))["fractured_flagged"] == 2
    assert row(Point("own", own))["threshold"] == 0.5


def test_thresholds_are_chosen_without_the_fold_that_they_are_for() -> None:
    folds = np.array([0, 0, 1, 1, 2, 2])
    seen = []

    def highest(probabilities: np.ndarray, _: np.ndarray) -> float:
        seen.append(len(probabilities))
        return float(probabilities.max())

    chosen = thresholds_from_other_folds(PROBABILITIES, LABELS, folds, highest)
    assert chosen.tolist() == [0.6, 0.6, 0.9, 0.9, 0.9, 0.9]
    assert seen == [4, 4, 4]


def test_bands_part_all_scans() -> None:
    figures = {
        "n": 6,
        "fractured": 3,
        "told_at": "low",
        "operating_points": [row(Point("low", 0.35)), row(Point("likely", 0.8))],
    }
    assert [(b["band"], b["n"], b["fractured"]) for b in bands(figures)] == [
        ("likely", 1, 1),
        ("possible", 3, 2),
        ("not flagged", 2, 0),
    ]
    assert bands({**figures, "operating_points": [row(Point("low", 0.35))]}) == []


def test_ppv_and_npv_at_another_prevalence() -> None:
    ppv, npv = restate(sensitivity=0.9, specificity=0.8, prevalence=0.1)
    assert ppv == pytest.approx(0.09 / (0.09 + 0.18))
    assert npv == pytest.approx(0.72 / (0.72 + 0.01))
