"""Measures of a ranking against values worked out by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from training.measuring import figures
from training.measuring.figures import MEASURES, sweep

SCORES = [0.9, 0.8, 0.7, 0.6, 0.3, 0.1]
FRACTURED = [True, False, True, True, False, False]


def test_auc_counts_pairs_in_the_right_order() -> None:
    assert figures.roc_auc(SCORES, FRACTURED) == pytest.approx(7 / 9)


def test_auc_counts_ties_half() -> None:
    assert figures.roc_auc([0.5, 0.5, 0.5], [True, False, False]) == pytest.approx(0.5)


def test_average_precision_by_hand() -> None:
    assert figures.average_precision(SCORES, FRACTURED) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_tied_scores_share_one_threshold() -> None:
    assert figures.average_precision([0.5, 0.5], [True, False]) == pytest.approx(0.5)


def test_specificity_at_sensitivity() -> None:
    assert figures.specificity_at(SCORES, FRACTURED, 1 / 3) == 1.0
    assert figures.specificity_at(SCORES, FRACTURED, 0.9) == pytest.approx(2 / 3)


def test_precision_at_recall_and_back() -> None:
    every = sweep(SCORES, FRACTURED)
    assert every.precision_at_recall(0.9) == pytest.approx(3 / 4)
    assert every.recall_at_precision(0.7) == pytest.approx(1.0)
    assert every.recall_at_precision(0.8) == pytest.approx(1 / 3)


def test_a_precision_that_no_threshold_reaches_has_no_recall() -> None:
    assert sweep([0.9, 0.1], [False, True]).recall_at_precision(0.8) == 0


@pytest.mark.parametrize("weighted", [False, True])
def test_measures_agree_with_scikit_learn(weighted: bool) -> None:
    random = np.random.default_rng(3)
    labels = random.random(400) < 0.2
    scores = np.round(labels + random.normal(0, 1, 400), 1)  # rounded, so that many tie
    weights = random.integers(0, 4, 400).astype(float) if weighted else np.ones(400)
    every = sweep(scores, labels, weights[None])
    assert every.roc_auc() == pytest.approx(roc_auc_score(labels, scores, sample_weight=weights))
    assert every.average_precision() == pytest.approx(average_precision_score(labels, scores, sample_weight=weights))
    rates, sensitivity, _ = roc_curve(labels, scores, sample_weight=weights, drop_intermediate=False)
    assert every.specificity_at(0.9) == pytest.approx(1 - rates[np.argmax(sensitivity >= 0.9)])
    kept = weights > 0
    precision, recall, _ = precision_recall_curve(labels[kept], scores[kept], sample_weight=weights[kept])
    assert every.precision_at_recall(0.75) == pytest.approx(precision[recall >= 0.75].max())
    assert every.recall_at_precision(0.49) == pytest.approx(recall[precision >= 0.49].max())


def test_a_weight_counts_a_scan_as_often_as_repeating_it() -> None:
    random = np.random.default_rng(5)
    labels, scores = random.random(80) < 0.4, np.round(random.random(80), 1)
    weights = random.integers(0, 3, (7, 80))
    together = {name: take(sweep(scores, labels, weights.astype(float))) for name, take in MEASURES.items()}
    for draw, counts in enumerate(weights):
        repeated = sweep(np.repeat(scores, counts), np.repeat(labels, counts))
        for name, take in MEASURES.items():
            assert together[name][draw] == pytest.approx(take(repeated)[0]), name


def test_a_weighting_without_a_class_has_no_figures() -> None:
    weights = np.array([[1.0, 0.0], [1.0, 1.0]])
    every = sweep([0.9, 0.1], [True, False], weights)
    for take in MEASURES.values():
        assert np.isnan(take(every)).tolist() == [True, False]
