"""The whole measurement of a ranking: what it holds, what it agrees with, and how fast it is."""

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from tests.unit.training.measuring.samples import Ranking, make_examples, make_ranking
from training.measuring.points import Point, promised_sensitivity
from training.measuring.ranking import measure_ranking

POINTS = [
    Point("strict", 0.4, target_sensitivity=0.8),
    Point("wide", 0.2, target_sensitivity=0.9),
    Point("likely", 0.7),
]


@pytest.fixture
def ranking(tmp_path: Path) -> Ranking:
    return make_ranking(tmp_path)


def test_figures_agree_with_scikit_learn_and_fit_in_json(ranking: Ranking) -> None:
    probabilities, examples = ranking
    labels = [e.fractured for e in examples]
    found = json.loads(json.dumps(measure_ranking(probabilities, examples, POINTS, draws=200), allow_nan=False))
    assert (found["n"], found["groups"], found["fractured"]) == (300, 100, sum(labels))
    assert found["auc"] == pytest.approx(roc_auc_score(labels, probabilities))
    assert found["brier"] == pytest.approx(brier_score_loss(labels, probabilities))
    for name, (low, high) in found["intervals_95"].items():
        assert low < found[name] < high
    assert found["localization"] is None
    assert [row["name"] for row in found["operating_points"]] == ["strict", "wide", "likely"]
    assert list(found["operating_points"][0]["at_prevalence"]) == ["0.02", "0.05", "0.2"]


def test_curves_tell_the_same_as_the_figures(ranking: Ranking) -> None:
    found = measure_ranking(*ranking, POINTS, draws=100)
    roc = found["curves"]["roc"]
    assert np.trapezoid(roc["sensitivity"], roc["false_positive_rate"]) == pytest.approx(found["auc"], abs=0.01)
    at = found["curves"]["thresholds"]
    assert at["sensitivity"][at["threshold"].index(0.4)] == pytest.approx(
        found["operating_points"][0]["sensitivity"], abs=1e-4
    )
    assert at["sensitivity_lower_95"][at["threshold"].index(0.4)] == pytest.approx(
        promised_sensitivity(found["operating_points"][0]), abs=1e-4
    )
    assert all(low <= seen for low, seen in zip(at["sensitivity_lower_95"], at["sensitivity"], strict=True))
    assert sum(found["curves"]["distribution"]["fractured"]) == found["fractured"]


def test_misses_and_subgroups_are_told_at_the_default_point(ranking: Ranking) -> None:
    probabilities, examples = ranking
    found = measure_ranking(probabilities, examples, POINTS, draws=50, default="wide")
    wide = found["operating_points"][1]
    assert found["told_at"] == "wide"
    assert found["subgroups"][0]["sensitivity"] == wide["sensitivity"]
    missed = [m["probability"] for m in found["misses"]]
    assert missed == sorted(missed)
    assert max(missed) < 0.2
    assert sum(not mark[4] for mark in found["fracture_marks"]) == wide["fractured_missed"]
    lowest = found["misses"][0]
    assert lowest["box_share"] == pytest.approx(0.02)
    others = np.array([p for p, e in zip(probabilities, examples, strict=True) if not e.fractured])
    assert lowest["ranked_under"] == pytest.approx((others > lowest["probability"]).mean())


def test_subgroups_are_scored_apart(tmp_path: Path) -> None:
    examples = make_examples(tmp_path, [True, False, True, False], list("abcd"))
    large = make_examples(tmp_path, [False], ["e"], width=700, height=300)[0]
    examples = [
        replace(examples[0], body_part="hand", traits={"hardware": "1", "fracture_count": "2"}),
        replace(examples[1], body_part="hand", traits={"hardware": "0", "fracture_count": "0"}),
        replace(examples[2], body_part="leg", traits={"hardware": "0", "fracture_count": "1"}),
        replace(examples[3], body_part="hand", traits={}),
        replace(large, body_part="leg", traits={}),
    ]
    found = measure_ranking(np.array([0.9, 0.8, 0.3, 0.1, 0.2]), examples, [Point("p", 0.5)], draws=50)
    rows = {row["subgroup"]: row for row in found["subgroups"]}
    assert (rows["all"]["n"], rows["all"]["auc"]) == (5, pytest.approx(5 / 6))
    assert (rows["body part: hand"]["sensitivity"], rows["body part: hand"]["specificity"]) == (1.0, 0.5)
    assert (rows["hardware"]["n"], rows["hardware"]["auc"], rows["hardware"]["specificity"]) == (1, None, None)
    assert (rows["file over 500 px"]["n"], rows["file up to 500 px"]["n"]) == (1, 4)
    # One fracture is ranked against all three scans that are not fractured.
    assert (rows["one fracture"]["n"], rows["one fracture"]["auc"]) == (1, pytest.approx(2 / 3))
    assert rows["two fractures"]["sensitivity"] == 1.0
    assert "three fractures or more" not in rows
    assert "view: frontal" not in rows


def test_one_class_alone_is_refused(tmp_path: Path) -> None:
    examples = make_examples(tmp_path, [True, True], ["a", "b"])
    with pytest.raises(ValueError, match="one class"):
        measure_ranking(np.array([0.1, 0.2]), examples, POINTS)


def test_a_thousand_draws_over_the_size_of_fracatlas_take_seconds(tmp_path: Path) -> None:
    probabilities, examples = make_ranking(tmp_path, count=3200)
    started = time.process_time()
    measure_ranking(probabilities, examples, POINTS)
    assert time.process_time() - started < 30
