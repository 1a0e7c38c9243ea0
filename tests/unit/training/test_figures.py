"""Figures of merit against numbers worked out by hand."""

import numpy as np
import pytest

from training import figures
from training.calibration import fit_temperature_and_bias, reliability
from training.evaluate import restate

SCORES = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
FRACTURED = [True, False, True, True, False, False]


def test_auc_counts_pairs_ranked_rightly() -> None:
    assert figures.roc_auc(SCORES, FRACTURED) == pytest.approx(7 / 9)


def test_auc_counts_ties_half() -> None:
    assert figures.roc_auc([0.5, 0.5, 0.1], [True, False, False]) == pytest.approx(0.75)


def test_average_precision() -> None:
    assert figures.average_precision(SCORES, FRACTURED) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_average_precision_takes_ties_as_one_threshold() -> None:
    assert figures.average_precision([0.5, 0.5], [True, False]) == pytest.approx(0.5)


def test_specificity_at_sensitivity() -> None:
    assert figures.specificity_at(SCORES, FRACTURED, 1 / 3) == 1.0
    assert figures.specificity_at(SCORES, FRACTURED, 0.9) == pytest.approx(2 / 3)


def test_precision_at_recall_and_back() -> None:
    assert figures.precision_at_recall(SCORES, FRACTURED, 0.9) == pytest.approx(3 / 4)
    assert figures.recall_at_precision(SCORES, FRACTURED, 0.7) == pytest.approx(1.0)
    assert figures.recall_at_precision(SCORES, FRACTURED, 0.8) == pytest.approx(1 / 3)


def test_a_perfect_ranking_has_the_best_selection_score() -> None:
    assert figures.selection_score([0.9, 0.8, 0.2, 0.1], [True, True, False, False]) == 1.0


def test_calibration_recovers_a_known_slope_and_offset() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, 20000)
    fractured = random.random(20000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))
    slope, offset = fit_temperature_and_bias(logits, fractured)
    assert slope == pytest.approx(0.5, abs=0.02)
    assert offset == pytest.approx(-1, abs=0.05)


def test_calibration_refuses_a_ranking_the_wrong_way_round() -> None:
    with pytest.raises(ValueError, match="ranks fractured scans below"):
        fit_temperature_and_bias(np.array([3.0, 2.0, -2.0, -3.0] * 5), np.array([False, False, True, True] * 5))


def test_reliability_of_a_constant_is_its_distance_from_the_share() -> None:
    error, rows = reliability(np.full(10, 0.3), np.array([True] * 5 + [False] * 5), bins=1)
    assert error == pytest.approx(0.2)
    assert rows[0]["count"] == 10


def test_ppv_and_npv_at_another_prevalence() -> None:
    ppv, npv = restate(sensitivity=0.9, specificity=0.8, prevalence=0.1)
    assert ppv == pytest.approx(0.09 / (0.09 + 0.18))
    assert npv == pytest.approx(0.72 / (0.72 + 0.01))
