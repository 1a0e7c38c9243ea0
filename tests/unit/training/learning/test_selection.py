"""Which epoch is taken, and how sure its score is."""

import numpy as np
import pytest

from training.learning.selection import selected, specificity_score


def test_a_perfect_ranking_scores_one_whoever_is_drawn() -> None:
    logits, fractured = np.array([2.0, 1.0, -1.0, -2.0] * 10), np.array([True, True, False, False] * 10)
    assert specificity_score(logits, fractured, [str(n) for n in range(40)]) == (1.0, 0.0)


def test_pictures_of_one_patient_do_not_make_a_score_surer() -> None:
    rng = np.random.default_rng(0)
    patient = np.arange(400) // 10
    fractured = patient % 4 == 0
    logits = rng.normal(size=40)[patient] + fractured
    score, as_strangers = specificity_score(logits, fractured, [str(n) for n in range(400)])
    same, as_patients = specificity_score(logits, fractured, [str(n) for n in patient])
    assert score == same
    assert 0 < as_strangers < as_patients


@pytest.mark.parametrize(
    ("scores", "error", "epoch"),
    [
        ([0.5, 0.7, 0.6], 0.0, 2),
        ([0.5, 0.7, 0.6], 0.05, 2),
        ([0.5, 0.7, 0.6], 0.2, 3),
        ([0.7, 0.66, 0.5], 0.05, 2),
        ([0.7, 0.7], 0.0, 1),
    ],
)
def test_the_latest_epoch_within_an_error_of_the_best_is_taken(scores: list[float], error: float, epoch: int) -> None:
    history = [{"epoch": n, "selection": s, "selection_error": error} for n, s in enumerate(scores, 1)]
    assert selected(history)["epoch"] == epoch


def test_a_score_without_an_error_is_taken_at_its_word() -> None:
    assert selected([{"epoch": 1, "selection": 0.7}, {"epoch": 2, "selection": 0.69}])["epoch"] == 1
