"""Intervals over groups: whole groups are drawn, alike for two ways that are compared."""

from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.measuring.samples import make_ranking
from training.measuring.bootstrap import group_weights, interval_95, paired_difference
from training.measuring.figures import sweep


def test_images_of_a_group_are_drawn_together_and_as_many_groups_as_there_are() -> None:
    weights = group_weights(["a", "b", "a", "c", "c", "c"], draws=50)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 3] == weights[:, 4]).all()
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()
    assert (weights == group_weights(["a", "b", "a", "c", "c", "c"], draws=50)).all()


def test_intervals_are_wider_when_images_of_a_group_repeat_each_other() -> None:
    random = np.random.default_rng(0)
    labels = random.random(60) < 0.5
    scores = np.repeat(0.5 + 0.1 * labels + random.normal(0, 0.15, 60), 4)

    def width(groups: list[str]) -> float:
        within = interval_95(sweep(scores, np.repeat(labels, 4), group_weights(groups)).roc_auc())
        assert within is not None
        return within[1] - within[0]

    alone, together = width([f"g{i}" for i in range(240)]), width([f"g{i // 4}" for i in range(240)])
    assert together == pytest.approx(2 * alone, rel=0.2)


def test_an_interval_needs_draws_that_differ() -> None:
    assert interval_95(np.array([np.nan, np.nan, np.nan, 0.5])) is None
    assert interval_95(np.ones(100)) is None
    assert interval_95(np.linspace(0, 1, 101)) == pytest.approx([0.025, 0.975])


def test_a_better_way_is_told_from_an_equal_one(tmp_path: Path) -> None:
    probabilities, examples = make_ranking(tmp_path)
    labels = np.array([e.fractured for e in examples])
    better = paired_difference(probabilities + 0.3 * labels, probabilities, examples)
    assert better["difference"] == pytest.approx(better["a"] - better["b"])
    assert better["interval_95"][0] > 0
    noise = np.random.default_rng(1).normal(0, 0.02, len(labels))
    equal = paired_difference(probabilities + noise, probabilities, examples, "average_precision")
    assert equal["interval_95"][0] < 0 < equal["interval_95"][1]


def test_pairing_cancels_which_groups_were_drawn(tmp_path: Path) -> None:
    probabilities, examples = make_ranking(tmp_path)
    labels = np.array([e.fractured for e in examples])
    within = interval_95(sweep(probabilities, labels, group_weights([e.group for e in examples])).roc_auc())
    paired = paired_difference(probabilities + 0.03 * labels, probabilities, examples)["interval_95"]
    assert within is not None
    assert paired[1] - paired[0] < (within[1] - within[0]) / 2
