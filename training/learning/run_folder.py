"""What a run folder was begun with, its recipe and its data, so that nothing goes on with others or is measured on
scans that it has seen."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from screening.whole_files import write_json_whole
from training.data.example import Example
from training.data.splits import Parts, fold_parts
from training.learning.recipe import Recipe

RECIPE, DATA = "recipe.json", "data.json"


def digest_of(examples: Sequence[Example]) -> str:
    """SHA-256 of what a split follows from: every scan's name, label, body part and group, in the data set's order."""
    rows = [(e.image_id, e.fractured, e.body_part, e.group) for e in examples]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def pictures_of(examples: Sequence[Example], part: Sequence[int]) -> set[str]:
    """The pictures of a part of the data, by what they keep in another table: the names and sizes of their files."""
    chosen = (examples[index] for index in part)
    return {f"{e.image_id} {e.path.stat().st_size}" for e in chosen}


def claim_folder(out: Path, recipe: Recipe) -> None:
    """Store the recipe in `out`. Raises ValueError if the folder was started with another one."""
    out.mkdir(parents=True, exist_ok=True)
    stored = out / RECIPE
    if stored.exists() and Recipe.read(stored) != recipe:
        raise ValueError(f"{out} was started with another recipe; name an empty folder or pass {stored}")
    recipe.write(stored)


def claim_data(out: Path, examples: Sequence[Example], parts: Parts) -> None:
    """Note in `out` the data, and what of them trains and selects. Raises ValueError if it was started with others."""
    check_data(out, examples)
    out.mkdir(parents=True, exist_ok=True)
    seen = {
        name: sorted(pictures_of(examples, part))
        for name, part in (("train", parts.train), ("selection", parts.selection))
    }
    write_json_whole(out / DATA, {"digest": digest_of(examples), "images": len(examples), **seen})


def check_data(run: Path, examples: Sequence[Example]) -> None:
    """Raises ValueError if the run was started with other data: one row more or less cuts other folds, and scans that
    it trained on would be taken for unseen ones. A run that noted none passes."""
    noted = _noted(run)
    if noted and noted["digest"] != digest_of(examples):
        raise ValueError(
            f"{run} was started with other data than these {len(examples)} scans, whose split is another one: "
            "name the same data as then, or begin in an empty folder"
        )


def check_folds(validation: Path, recipe: Recipe, examples: Sequence[Example]) -> None:
    """Raises ValueError for a cross-validation any of whose folds is of another recipe, of other weights to begin with
    or of other data. Which part is kept away may differ, and how large the part is that selects."""
    for folder in sorted(validation.glob("fold-*")):
        if not (folder / RECIPE).exists():
            continue
        stored = Recipe.read(folder / RECIPE)
        if replace(stored, test_fold=recipe.test_fold, selection_folds=recipe.selection_folds) != recipe:
            raise ValueError(
                f"{folder} is of another recipe, or its weights began with another file; name the folder of this "
                "recipe, or an empty one"
            )
        check_data(folder, examples)


def check_unseen(run: Path, parts: Parts, examples: list[Example], use: str) -> None:
    """Raises ValueError if the run learnt labels of pictures that `parts` keep away: what it says of them would pass
    them on. A folder without a recipe passes. use: what the run is to be, "a teacher" say."""
    if not (run / RECIPE).exists() or not _reads_labels(recipe := Recipe.read(run / RECIPE)):
        return
    noted = _noted(run)
    if noted:
        trained, selected = set(noted["train"]), set(noted["selection"])
    else:
        # A run of before they were noted: on these same data, as far as anybody can tell.
        theirs = fold_parts(examples, recipe.folds, recipe.test_fold, recipe.seed, recipe.selection_folds)
        trained, selected = (pictures_of(examples, part) for part in (theirs.train, theirs.selection))
    selection, test = (pictures_of(examples, part) for part in (parts.selection, parts.test))
    known = trained & (selection | test) | selected & test
    if known:
        raise ValueError(
            f"{run} has learnt from {len(known)} of the scans that this run keeps away and cannot be {use}; "
            "name a run with the same fold and seed"
        )


def _noted(run: Path) -> dict[str, Any]:
    path = run / DATA
    noted: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return noted


def _reads_labels(recipe: Recipe) -> bool:
    own = bool(recipe.phases) and (recipe.label_weight > 0 or recipe.box_weight > 0)
    return own or any(_reads_labels(other) for other in (recipe.teacher, recipe.before) if other)
