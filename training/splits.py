"""Splitting by group: no group is ever cut, and the parts look alike in label and body part."""

import random
from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray

from training.dataset import Example


def group_folds(examples: list[Example], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold, 0 to folds-1, of each example, stratified by (label, body part), whole groups together.

    Greedy: large groups first, each into the fold that has the least of the group's strata so far, relative to what
    that stratum holds in all. Raises ValueError if there are fewer groups than folds.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, example in enumerate(examples):
        members[example.group].append(index)
    if len(members) < folds:
        raise ValueError(f"{len(members)} groups cannot be split into {folds} folds; ask for fewer folds")
    total = Counter((example.fractured, example.body_part) for example in examples)
    filled: list[Counter[tuple[bool, str]]] = [Counter() for _ in range(folds)]
    assigned = np.empty(len(examples), np.int64)
    names = sorted(members)
    random.Random(seed).shuffle(names)  # noqa: S311  a repeatable order is wanted, no secret
    for name in sorted(names, key=lambda group: -len(members[group])):
        strata = Counter((examples[i].fractured, examples[i].body_part) for i in members[name])

        def load(fold: int, strata: Counter[tuple[bool, str]] = strata) -> tuple[float, int]:
            return sum(filled[fold][s] / total[s] for s in strata), sum(filled[fold].values())

        chosen = min(range(folds), key=load)
        filled[chosen].update(strata)
        assigned[members[name]] = chosen
    return assigned


def train_calibration_test(
    examples: list[Example], folds: int, test_fold: int, seed: int
) -> tuple[list[int], list[int], list[int]]:
    """Indices of the three parts: `test_fold` is the test, the next fold calibrates, the others train."""
    fold = group_folds(examples, folds, seed)
    calibration_fold = (test_fold + 1) % folds
    parts = (
        (fold != test_fold) & (fold != calibration_fold),
        fold == calibration_fold,
        fold == test_fold,
    )
    train, calibration, test = (np.flatnonzero(part).tolist() for part in parts)
    return train, calibration, test
