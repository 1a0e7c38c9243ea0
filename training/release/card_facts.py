"""What a card says besides figures: source, intended use, limits, and how the data was split."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.data.manifest import Example
from training.data.splits import Parts
from training.learning.recipe import Recipe
from training.learning.run_folder import digest_of
from training.learning.selection import selected

ATTRIBUTION = (
    "FracAtlas: Abedeen, I., Rahman, M. A., Prottyasha, F. Z. et al., FracAtlas: A Dataset for Fracture "
    "Classification, Localization and Segmentation of Musculoskeletal Radiographs, Scientific Data 10, 521 (2023), "
    "doi:10.6084/m9.figshare.22363012, CC BY 4.0"
)
INTENDED_USE = "Research: ordering a worklist so that radiographs with a likely bone fracture are read first."
LIMITS = (
    "Not a certified medical device. It never says that a fracture is absent, and it replaces no reader.",
    "Trained on one data set (hand, leg, hip, shoulder; three hospitals of one country); other body parts, children, "
    "casts and other equipment are untested.",
    "Probabilities are calibrated to a prevalence of about 18% fractured; elsewhere only their order holds.",
    "Grouping of patients is inferred, because the data set has no patient ids.",
)


def training_facts(run: Path, recipe: Recipe) -> dict[str, Any]:
    """What the run folder tells of its training."""
    history = json.loads((run / "history.json").read_text("utf-8"))
    return {
        "data": "FracAtlas, development part",
        "attribution": ATTRIBUTION,
        "selected_epoch": selected(history),
        "epochs_trained": len(history),
        "recipe": recipe.as_dict(),
    }


def split_facts(
    recipe: Recipe, examples: Sequence[Example], parts: Parts, cross_validated: Sequence[int]
) -> dict[str, Any]:
    """How many images, fractured ones and groups each part of the split holds, and a digest of all."""
    return {
        "by": "group",
        "folds": recipe.folds,
        "test_fold": recipe.test_fold,
        "selection_folds": recipe.selection_folds,
        "seed": recipe.seed,
        "cross_validated_folds": list(cross_validated),
        "data": digest_of(examples),
        "images": {
            name: {
                "n": len(part),
                "fractured": sum(examples[i].fractured for i in part),
                "groups": len({examples[i].group for i in part}),
            }
            for name, part in (("train", parts.train), ("selection", parts.selection), ("test", parts.test))
        },
    }
