"""Splits: no group is ever cut, every scan lands somewhere once, and strata are spread."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.dataset import Example
from training.splits import group_folds, train_calibration_test


def example(group: int, fractured: bool, part: str) -> Example:
    return Example(f"{group}-{fractured}-{part}", Path("none"), fractured, f"g{group}", part)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.sampled_from(["hand", "leg"])), min_size=30, max_size=200),
    st.integers(0, 5),
)
def test_no_group_is_cut(rows: list[tuple[int, bool, str]], seed: int) -> None:
    examples = [example(*row) for row in rows] + [example(100 + i, True, "hip") for i in range(5)]
    folds = group_folds(examples, 5, seed)
    for group in {e.group for e in examples}:
        assert len({int(fold) for fold, e in zip(folds, examples, strict=True) if e.group == group}) == 1


def test_parts_are_disjoint_complete_and_stratified() -> None:
    random = np.random.default_rng(0)
    examples = [
        example(group, bool(group % 6 == 0), "hand" if group % 3 else "leg")
        for group in range(600)
        for _ in range(int(random.integers(1, 6)))
    ]
    train, calibration, test = train_calibration_test(examples, folds=10, test_fold=9, seed=1)
    assert sorted(train + calibration + test) == list(range(len(examples)))
    share = np.mean([e.fractured for e in examples])
    for part in (calibration, test):
        assert len(part) == pytest.approx(len(examples) / 10, rel=0.15)
        assert np.mean([examples[i].fractured for i in part]) == pytest.approx(share, abs=0.04)


def test_the_split_is_repeatable() -> None:
    examples = [example(i // 2, i % 4 < 2, "hand") for i in range(100)]
    assert np.array_equal(group_folds(examples, 5, seed=3), group_folds(examples, 5, seed=3))
    assert not np.array_equal(group_folds(examples, 5, seed=3), group_folds(examples, 5, seed=4))


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="2 groups cannot be split into 5 folds"):
        group_folds([example(0, True, "hand"), example(1, False, "hand")], 5, 0)
