"""Evaluation: intervals over groups, where maps peak, and subgroups, on cases small enough to check by hand."""

from dataclasses import replace

import numpy as np
import pytest

from training.dataset import Example
from training.deployed import Outputs
from training.evaluate import group_bootstrap, pointing_game, subgroups


@pytest.fixture
def boxed(phantoms: list[Example]) -> Example:
    """A fractured phantom, 96 wide and 120 high: on a square of 60 it lies from column 6 to column 54."""
    return replace(next(e for e in phantoms if e.fractured), boxes=((0.0, 0.0, 0.4, 0.3),))


@pytest.mark.parametrize(("row", "column", "hits"), [(0, 0, 1), (1, 1, 1), (0, 3, 0), (5, 0, 0)])
def test_a_peak_counts_when_its_cell_meets_a_box(boxed: Example, row: int, column: int, hits: int) -> None:
    # The box covers columns 6 to 25.2 and rows 0 to 18; a cell of the map is 10 pixels.
    maps = np.zeros((1, 6, 6), np.float32)
    maps[0, row, column] = 1
    found = pointing_game(Outputs(np.array([0.5]), maps), [boxed], side=60)
    assert found == {"fractured_with_boxes": 1, "peak_in_box": hits, "share": float(hits)}


def test_pictures_without_boxes_do_not_count(boxed: Example) -> None:
    outputs = Outputs(np.array([0.5]), np.zeros((1, 6, 6), np.float32))
    assert pointing_game(outputs, [replace(boxed, boxes=())], side=60)["share"] is None


def test_intervals_are_wider_when_images_of_a_group_repeat_each_other(boxed: Example) -> None:
    random = np.random.default_rng(0)
    labels = random.random(60) < 0.5
    scores = np.clip(0.5 + 0.1 * labels + random.normal(0, 0.15, 60), 0, 1)
    repeated_labels, repeated_scores = np.repeat(labels, 4), np.repeat(scores, 4)

    def width(groups: list[str]) -> float:
        examples = [
            replace(boxed, fractured=bool(label), group=group)
            for label, group in zip(repeated_labels, groups, strict=True)
        ]
        low, high = group_bootstrap(repeated_scores, examples, draws=300)["auc"]
        return high - low

    alone = width([f"g{i}" for i in range(240)])
    together = width([f"g{i // 4}" for i in range(240)])
    assert together == pytest.approx(2 * alone, rel=0.3)


def test_subgroups_are_scored_apart(boxed: Example) -> None:
    examples = [
        replace(boxed, body_part=part, fractured=fractured, traits={"hardware": hardware})
        for part, fractured, hardware in (("hand", True, "1"), ("hand", False, "0"), ("leg", True, "0"))
    ]
    rows = {row["subgroup"]: row for row in subgroups(np.array([0.9, 0.8, 0.1]), examples, threshold=0.5)}
    assert rows["body part: hand"]["sensitivity"] == 1.0
    assert rows["body part: hand"]["specificity"] == 0.0
    assert rows["body part: leg"] == {
        "subgroup": "body part: leg",
        "n": 1,
        "fractured": 1,
        "auc": None,
        "sensitivity": 0.0,
        "specificity": None,
    }
    assert rows["hardware"]["n"] == 1
    assert "frontal" not in rows
