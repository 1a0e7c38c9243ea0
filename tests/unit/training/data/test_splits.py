"""Splits: no group is ever cut, every scan lands somewhere once, and strata are spread."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data.manifest import Example
from training.data.splits import fold_parts, group_folds


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


def test_the_split_is_repeatable() -> None:
    examples = [example(i // 2, i % 4 < 2, "hand") for i in range(100)]
    assert np.array_equal(group_folds(examples, 5, seed=3), group_folds(examples, 5, seed=3))
    assert not np.array_equal(group_folds(examples, 5, seed=3), group_folds(examples, 5, seed=4))


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="2 groups cannot be split into 5 folds"):
        group_folds([example(0, True, "hand"), example(1, False, "hand")], 5, 0)


def many() -> list[Example]:
    random = np.random.default_rng(0)
    return [
        example(group, group % 6 == 0, "hand" if group % 3 else "leg")
        for group in range(600)
        for _ in range(int(random.integers(1, 6)))
    ]


def test_fold_parts_are_disjoint_complete_and_cut_no_group() -> None:
    examples = many()
    parts = fold_parts(examples, folds=5, fold=2, seed=1)
    lists = (parts.train, parts.selection, parts.test)
    assert sorted(chain(*lists)) == list(range(len(examples)))
    groups = [{examples[index].group for index in part} for part in lists]
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])
    assert len(parts.test) == pytest.approx(len(examples) / 5, rel=0.1)
    assert len(parts.selection) == pytest.approx(len(examples) * 0.8 / 10, rel=0.15)
    assert parts.test == np.flatnonzero(group_folds(examples, 5, 1) == 2).tolist()


def test_the_test_parts_of_all_folds_cover_everything_once() -> None:
    examples = many()
    tests = [fold_parts(examples, 5, fold, seed=1).test for fold in range(5)]
    assert sorted(chain(*tests)) == list(range(len(examples)))


def test_without_a_fold_all_examples_serve_development() -> None:
    examples = many()
    parts = fold_parts(examples, folds=5, fold=None, seed=1)
    assert parts.test == []
    assert sorted(parts.train + parts.selection) == list(range(len(examples)))
    assert fold_parts(examples, 5, None, seed=1, selection_folds=0).train == list(range(len(examples)))


def test_a_fold_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="fold 5 is not one of 5 folds"):
        fold_parts(many(), folds=5, fold=5, seed=1)
