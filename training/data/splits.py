"""Splitting by group: no group is ever cut, and the parts look alike in label and body part."""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.example import Example


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


@dataclass(frozen=True)
class Parts:
    """Indices into a list of examples, ascending; no group lies in two parts. A part may be empty."""

    train: list[int]
    selection: list[int]
    """The epoch is chosen on it: neither trained on nor tested on."""
    test: list[int]


def fold_parts(examples: list[Example], folds: int, fold: int | None, seed: int, selection_folds: int = 10) -> Parts:
    """Cut examples into train, selection and test part, whole groups together.

    The test part is fold `fold` of `group_folds(examples, folds, seed)`; with `fold` None there is none, and all
    examples serve development. Of the rest, one in `selection_folds` is the selection part; with 0 there is none.
    Raises ValueError if `fold` is not one of the folds or there are too few groups.
    """
    if fold is not None and not 0 <= fold < folds:
        raise ValueError(f"fold {fold} is not one of {folds} folds; name one from 0 to {folds - 1}")
    everything = np.arange(len(examples))
    is_test = np.zeros(len(examples), bool) if fold is None else group_folds(examples, folds, seed) == fold
    rest = everything[~is_test]
    is_selection = np.zeros(len(rest), bool)
    if selection_folds:
        is_selection = group_folds([examples[index] for index in rest], selection_folds, seed + 1) == 0
    return Parts(rest[~is_selection].tolist(), rest[is_selection].tolist(), everything[is_test].tolist())
