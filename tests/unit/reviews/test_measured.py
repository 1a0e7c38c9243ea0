"""What readers measured: the estimate of the sensitivity, its interval, and the agreement of readers."""

import math
import random

import pytest
from sklearn.metrics import cohen_kappa_score

from screening.reviews.measured import Agreement, Sensitivity


def test_each_sampled_fracture_stands_for_as_many_as_the_rate_says() -> None:
    """By hand: 80 flagged fractures and 2 of a tenth, which stand for 20."""
    assert Sensitivity(80, 2, 0.1).estimate == pytest.approx(80 / 100)
    assert Sensitivity(80, 0, 0.1).estimate == 1
    assert Sensitivity(0, 3, 0.1).estimate == 0
    assert Sensitivity(9, 1, 1).estimate == pytest.approx(0.9)


def test_nothing_is_estimated_where_nothing_was_seen() -> None:
    assert Sensitivity(0, 0, 0.1).estimate is None
    assert Sensitivity(0, 0, 0.1).interval_95 == (0, 1)
    assert Sensitivity(5, 0, 0).estimate is None, "without a sample nobody knows what is missed"
    assert Sensitivity(5, 0, 0).interval_95 == (0, 1)


def test_without_a_missed_fracture_in_the_sample_the_interval_is_open_downwards() -> None:
    low, high = Sensitivity(80, 0, 0.02).interval_95
    assert high == 1
    assert 0.2 < low < 0.8, "with one in fifty sampled, 80 fractures and no miss leave much room"


@pytest.mark.parametrize(("sensitivity", "rate"), [(0.9, 0.2), (0.7, 0.1), (0.95, 0.5)])
def test_the_interval_covers_the_truth_in_simulated_reading(sensitivity: float, rate: float) -> None:
    """Readings are drawn scan by scan: flagged with the sensitivity, else read at the rate; nothing of the formula."""
    draw = random.Random(7)
    covered, estimates = 0, []
    trials = 400
    for _ in range(trials):
        flagged = [draw.random() < sensitivity for _ in range(300)]
        sampled = sum(not caught and draw.random() < rate for caught in flagged)
        found = Sensitivity(sum(flagged), sampled, rate)
        low, high = found.interval_95
        covered += low <= sensitivity <= high
        estimates.append(found.estimate or 0)
    assert covered / trials > 0.92
    assert math.fsum(estimates) / trials == pytest.approx(sensitivity, abs=0.015)


def test_fractures_of_several_rates_each_have_their_weight() -> None:
    mixed = Sensitivity(40, 3, 0.02, (0.02, 0.1, 0.1), several=True)
    assert mixed.estimate == pytest.approx(40 / (40 + 50 + 10 + 10))
    same = Sensitivity(40, 3, 0.1, (0.1, 0.1, 0.1))
    assert same.interval_95 == pytest.approx(Sensitivity(40, 3, 0.1).interval_95)


@pytest.mark.parametrize("rates", [(0.02, 0.1), (0.1, 0.5)])
def test_the_interval_covers_the_truth_where_the_rate_was_changed(rates: tuple[float, float]) -> None:
    draw = random.Random(8)
    covered, trials = 0, 400
    for _ in range(trials):
        flagged, found = 0, []
        for number in range(400):
            if draw.random() < 0.85:
                flagged += 1
            elif draw.random() < rates[number % 2]:
                found.append(rates[number % 2])
        low, high = Sensitivity(flagged, len(found), min(rates), tuple(found), several=True).interval_95
        covered += low <= 0.85 <= high
    assert covered / trials > 0.92


def test_kappa_and_agreement_are_those_of_scikit_learn() -> None:
    draw = random.Random(3)
    one = [draw.random() < 0.4 for _ in range(300)]
    other = [said if draw.random() < 0.8 else not said for said in one]
    pairs = list(zip(one, other, strict=True))
    counts = (pairs.count((True, True)), pairs.count((True, False)), pairs.count((False, True)))
    found = Agreement(("a", "b"), *counts, pairs.count((False, False)))
    assert found.kappa == pytest.approx(cohen_kappa_score(one, other))
    assert found.raw.share == pytest.approx(sum(x == y for x, y in pairs) / 300)


def test_the_interval_of_kappa_by_hand() -> None:
    """20 both, 5 and 10 alone, 15 neither: agreed 0.7, by chance 0.5, kappa 0.4, standard error 0.1296."""
    found = Agreement(("a", "b"), 20, 5, 10, 15)
    low, high = found.kappa_interval_95 or (0, 0)
    error = math.sqrt(0.7 * 0.3 / (50 * 0.5**2))
    assert (low, high) == (pytest.approx(0.4 - 1.96 * error, abs=1e-4), pytest.approx(0.4 + 1.96 * error, abs=1e-4))
    assert Agreement(("a", "b"), 5, 0, 0, 5).kappa_interval_95 is None
