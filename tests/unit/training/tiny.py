"""The tiny recipe that training tests train by, and the shortest way to train it."""

from pathlib import Path
from typing import Any

from training.data.manifest import Example
from training.learning.devices import choose_device
from training.learning.recipe import Phase, Recipe
from training.train import train_by_recipe

TINY = Recipe(
    rendition_side=64,
    source_side=64,
    phases=(Phase(1, 32, 0.5), Phase(2, 64, 1.0)),
    batch=8,
    folds=4,
    test_fold=0,
    selection_folds=4,
    warmup_steps=2,
    ema_decay=0.5,
)


def train_tiny(recipe: Recipe, examples: list[Example], out: Path, **choices: Any) -> dict[str, Any]:
    return train_by_recipe(recipe, examples, out, choose_device("cpu", threads=1), quiet=True, **choices)
