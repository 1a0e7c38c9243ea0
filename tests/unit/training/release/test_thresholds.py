"""Thresholds of a release: each keeps its promise on the scans that chose it, and likely scans are flagged ones."""

import numpy as np
import pytest

from training.measuring.points import LIKELY
from training.release.thresholds import DEFAULT_POINT, TARGETS, chosen_points, points_from_other_folds


def scans(separation: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    fractured = random.random(2000) < 0.2
    return 1 / (1 + np.exp(-(separation * fractured + random.normal(size=2000)))), fractured


def test_every_target_is_reached_on_the_scans_that_chose_it() -> None:
    probabilities, fractured = scans(2.0)
    points = {p.name: float(p.threshold) for p in chosen_points(probabilities, fractured)}
    for name, target in TARGETS.items():
        reached = (probabilities[fractured] >= points[name]).mean()
        assert target <= reached < target + 0.01
    assert (probabilities[~fractured] < points[LIKELY]).mean() == pytest.approx(0.95, abs=0.01)


def test_a_weak_network_has_no_likely_scan_that_is_not_flagged() -> None:
    probabilities, fractured = scans(-1.0)
    points = {p.name: float(p.threshold) for p in chosen_points(probabilities, fractured)}
    assert points[LIKELY] >= points[DEFAULT_POINT]


def test_no_scan_takes_part_in_choosing_its_own_threshold() -> None:
    probabilities, fractured = scans(2.0)
    folds = np.arange(2000) % 5
    before = {p.name: p.threshold for p in points_from_other_folds(probabilities, fractured, folds)}
    changed = np.where(folds == 3, 0.5, probabilities)
    after = {p.name: p.threshold for p in points_from_other_folds(changed, fractured, folds)}
    for name in TARGETS:
        assert np.array_equal(before[name][folds == 3], after[name][folds == 3])
        assert not np.array_equal(before[name][folds != 3], after[name][folds != 3])
