"""Operating points against numbers worked out by hand or taken from exact formulas."""

import math

import pytest

from training.measuring.operating_point import (
    choose_likely_threshold,
    choose_threshold,
    clopper_pearson_lower,
)

PROBABILITIES = [0.95, 0.90, 0.80, 0.70, 0.60, 0.50, 0.40, 0.30, 0.20, 0.10]
FRACTURED = [True, True, False, True, False, True, False, False, True, False]


@pytest.mark.parametrize(
    ("target", "between"),
    [(0.2, (0.90, 0.95)), (0.6, (0.60, 0.70)), (0.61, (0.40, 0.50)), (0.8, (0.40, 0.50)), (1.0, (0.10, 0.20))],
)
def test_threshold_lies_between_the_last_scan_flagged_and_the_next(target: float, between: tuple[float, float]) -> None:
    assert choose_threshold(PROBABILITIES, FRACTURED, target) == pytest.approx(sum(between) / 2)


def test_threshold_reaches_its_target_even_with_ties() -> None:
    probabilities, fractured = [0.5, 0.5, 0.5, 0.2], [True, True, False, True]
    threshold = choose_threshold(probabilities, fractured, 0.5)
    assert 0.2 < threshold < 0.5  # Both scans at 0.5 are flagged, of which one would have been enough.


@pytest.mark.parametrize(
    ("target", "between"),
    [(0.2, (0.10, 0.20)), (0.4, (0.30, 0.40)), (0.41, (0.40, 0.50)), (0.8, (0.60, 0.70)), (1.0, (0.80, 0.90))],
)
def test_likely_threshold_lies_between_the_last_scan_under_it_and_the_next(
    target: float, between: tuple[float, float]
) -> None:
    threshold = choose_likely_threshold(PROBABILITIES, FRACTURED, target)
    assert threshold == pytest.approx(sum(between) / 2)
    under = [p < threshold for p, is_fractured in zip(PROBABILITIES, FRACTURED, strict=True) if not is_fractured]
    assert sum(under) / len(under) >= target


def test_likely_threshold_reaches_its_target_even_with_ties() -> None:
    probabilities, fractured = [0.2, 0.5, 0.5, 0.9], [False, False, False, True]
    assert choose_likely_threshold(probabilities, fractured, 0.5) == pytest.approx(0.7)


def test_likely_threshold_over_the_highest_probability_stays_under_one() -> None:
    assert choose_likely_threshold([0.2, 0.6], [True, False], 1.0) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("probabilities", "fractured", "target", "words"),
    [
        ([0.5], [True], 0.95, "needs some that are not"),
        ([0.5], [False], 1.1, "out of range"),
        ([1.0, 0.5], [False, False], 1.0, "choose a lower target"),
    ],
)
def test_a_likely_threshold_that_cannot_be_is_refused(
    probabilities: list[float], fractured: list[bool], target: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        choose_likely_threshold(probabilities, fractured, target)


def test_all_successes_have_the_closed_form_bound() -> None:
    assert clopper_pearson_lower(59, 59) == pytest.approx(0.05 ** (1 / 59), abs=1e-9)


def test_one_success_has_the_closed_form_bound() -> None:
    assert clopper_pearson_lower(1, 20) == pytest.approx(1 - 0.95 ** (1 / 20), abs=1e-9)


def test_bound_agrees_with_the_beta_quantile() -> None:
    # scipy.stats.beta.ppf(0.05, 90, 11) and beta.ppf(0.05, 450, 51)
    assert clopper_pearson_lower(90, 100) == pytest.approx(0.8362824, abs=1e-6)
    assert clopper_pearson_lower(450, 500) == pytest.approx(0.8751342, abs=1e-6)


def test_no_success_and_no_trial_bound_nothing() -> None:
    assert clopper_pearson_lower(0, 10) == 0
    assert clopper_pearson_lower(0, 0) == 0


@pytest.mark.parametrize(("successes", "trials"), [(3, 2), (-1, 2)])
def test_impossible_counts_are_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="impossible"):
        clopper_pearson_lower(successes, trials)


@pytest.mark.parametrize(
    ("probabilities", "fractured", "target", "words"),
    [
        ([0.5], [False], 0.9, "no fractured scan"),
        ([0.5], [True], 0.0, "out of range"),
        ([1.5], [True], 0.9, "between 0 and 1"),
        ([math.nan], [True], 0.9, "between 0 and 1"),
        ([0.5, 0.6], [True], 0.9, "equally long"),
    ],
)
def test_bad_input_is_refused(probabilities: list[float], fractured: list[bool], target: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        choose_threshold(probabilities, fractured, target)
