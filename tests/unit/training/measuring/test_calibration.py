"""Calibration recovers what was put in, and the reliability curve measures how far it is off."""

import numpy as np
import pytest

from training.measuring.calibration import fit_calibration, reliability


def test_calibration_recovers_a_known_slope_and_offset() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, 20000)
    fractured = random.random(20000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))
    slope, peak, offset = fit_calibration(logits, np.zeros(20000), fractured)
    assert slope == pytest.approx(0.5, abs=0.02)
    assert peak == 0
    assert offset == pytest.approx(-1, abs=0.05)


def test_calibration_recovers_what_the_largest_value_adds() -> None:
    random = np.random.default_rng(1)
    logits, largest = random.normal(0, 2, 20000), random.normal(4, 3, 20000)
    fractured = random.random(20000) < 1 / (1 + np.exp(-(0.5 * logits + 0.3 * largest - 2)))
    assert fit_calibration(logits, largest, fractured) == pytest.approx((0.5, 0.3, -2), abs=0.06)


def test_a_largest_value_that_speaks_against_a_fracture_is_left_out() -> None:
    random = np.random.default_rng(2)
    logits, largest = random.normal(0, 2, 2000), random.normal(4, 3, 2000)
    fractured = random.random(2000) < 1 / (1 + np.exp(-(logits - 0.3 * largest)))
    assert fit_calibration(logits, largest, fractured) == fit_calibration(logits, np.zeros(2000), fractured)


def test_calibration_refuses_a_ranking_the_wrong_way_round() -> None:
    with pytest.raises(ValueError, match="ranks fractured scans below"):
        fit_calibration(np.array([3.0, 2.0, -2.0, -3.0] * 5), np.zeros(20), np.array([False, False, True, True] * 5))


def test_reliability_of_a_constant_is_its_distance_from_the_share() -> None:
    error, rows = reliability(np.full(10, 0.3), np.array([True] * 5 + [False] * 5), bins=1)
    assert error == pytest.approx(0.2)
    assert rows == [{"mean_probability": pytest.approx(0.3), "observed": 0.5, "count": 10}]


def test_bins_have_intervals_over_groups() -> None:
    weights = np.array([[2.0, 0.0, 1.0, 1.0], [0.0, 2.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
    fractured = np.array([True, False, True, False])
    _, rows = reliability(np.array([0.1, 0.2, 0.8, 0.9]), fractured, weights, bins=2)
    assert rows[0]["interval_95"] == pytest.approx([0.025, 0.975])
    assert rows[1]["interval_95"] is None
