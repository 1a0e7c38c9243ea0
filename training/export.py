"""Make a checkpoint bundle: `python -m training.export --run DIR --data DIR --out checkpoints/NAME`.

With --cross-validation, thresholds and figures come from the out-of-fold outputs of the same recipe, and the run may
have trained on all data. Without it, the run must have kept a fold away, and they come from that fold, cut into parts.
Either way each scan is measured at thresholds that were chosen on other parts, and the thresholds that are shipped are
chosen on all of them. Each form is measured as the very file that is served.
"""

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file as save_tensors

from screening.inference.bundle import CARD, CARD_FORMAT, GOLDEN, WEIGHTS, Bundle, file_digest, read_bundle
from screening.watching.statistics import BINS
from training.data.manifest import DatasetError, Example, read_dataset
from training.data.pictures import square_renditions
from training.data.splits import Parts, fold_parts, group_folds
from training.deployed import run_form
from training.learning.initial import trained_network
from training.learning.networks import GreyResNet18
from training.learning.recipe import Recipe
from training.measuring.ranking import measure_ranking
from training.release.card_facts import INTENDED_USE, LIMITS, split_facts, training_facts
from training.release.eight_bit import settle
from training.release.forms import FORMS, fold_calibration, save_forms, typical_indices
from training.release.golden import golden_renditions
from training.release.out_of_fold import OutOfFold, finished_folds, pooled, shared_calibration
from training.release.thresholds import DEFAULT_POINT, chosen_points, points_from_other_folds, stated
from training.train import say_on_terminal

PARTS_OF_A_FOLD = 5
MEASURED_ON_KEPT_AWAY = (
    "groups that neither trained the weights nor chose an epoch, each scan at thresholds chosen on other groups of them"
)
MEASURED_OUT_OF_FOLD = (
    "out of fold: every scan by a network of the same recipe that never saw its group, at thresholds chosen on the "
    "other folds"
)


@dataclass(frozen=True)
class Evidence:
    """What a form said of scans that did not train it. They choose its thresholds, and each is measured by thresholds
    that scans of other folds chose."""

    outputs: OutOfFold
    examples: list[Example]
    measured_on: str
    """For the card: which scans these are."""


def export(
    run: Path,
    examples: list[Example],
    folder: Path,
    forms: Sequence[str] = FORMS,
    cross_validation: Path | None = None,
    notes: Sequence[str] = (),
    table: dict[str, Any] | None = None,
    cache: Path | None = None,
) -> Bundle:
    """Write the bundle of a training run, read it back, and return it. The first form is the default.

    notes: sentences for the card; table: the card's comparison of ways. Raises ValueError for a run that trained on
    all data without a cross-validation to measure its recipe.
    """
    recipe = Recipe.read(run / "recipe.json")
    cache = cache or run / "cache"
    if recipe.test_fold is None and cross_validation is None:
        raise ValueError("this run trained on all data; name the cross-validation of its recipe, which measures it")
    network = _network_of(run, recipe)
    validated = finished_folds(cross_validation, forms[0], recipe.folds) if cross_validation else []
    parts = fold_parts(examples, recipe.folds, recipe.test_fold, recipe.seed, recipe.selection_folds)
    typical = [examples[i] for i in typical_indices(parts.train, recipe.seed)]
    typical_squares = square_renditions(typical, recipe.rendition, cache)

    if cross_validation is None:
        trial = _network_of(run, recipe)
        settle(trial)
        save_forms(trial, recipe.rendition_side, typical_squares, run / "forms", forms)
        evidence = {form: _kept_away(run / "forms" / f"{form}.xml", recipe, examples, parts, cache) for form in forms}
    else:
        evidence = {form: _out_of_fold(cross_validation, form, recipe, examples) for form in forms}
    first = evidence[forms[0]]
    slope, offset = shared_calibration(first.outputs, first.examples)
    fold_calibration(network, slope, offset)

    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(settle(network), folder / WEIGHTS)
    save_forms(network, recipe.rendition_side, typical_squares, folder, forms)
    golden: dict[str, NDArray[Any]] = {"renditions": golden_renditions(recipe.rendition)}
    for form in forms:
        said = run_form(folder / f"{form}.xml", golden["renditions"])
        golden[f"{form}.probabilities"] = said.probabilities.astype(np.float32)
        golden[f"{form}.maps"] = said.maps
    save_arrays(golden, folder / GOLDEN)
    files = [WEIGHTS, GOLDEN, *(f"{form}.{ending}" for form in forms for ending in ("xml", "bin"))]
    for name in files:
        (folder / name).chmod(0o644)  # safetensors writes for the owner only; a bundle is for everybody

    card = {
        "format": CARD_FORMAT,
        "name": folder.name,
        "created": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "architecture": "ResNet-18 (torchvision), one input channel, one output, global average pooling",
        "rendition": recipe.rendition.as_dict(),
        "forms": {form: _measured(evidence[form], recipe, (slope, offset)) for form in forms},
        "default_form": forms[0],
        "files": {name: file_digest(folder / name) for name in files},
        "training": {
            **training_facts(run, recipe),
            "split": split_facts(recipe, examples, parts, validated),
            "calibration": {"slope": slope, "offset": offset},
            "cross_validation": table,
            "notes": list(notes),
        },
        "intended_use": INTENDED_USE,
        "limits": list(LIMITS),
    }
    (folder / CARD).write_text(json.dumps(card, indent=1, allow_nan=False) + "\n", "utf-8")
    return read_bundle(folder)


def _network_of(run: Path, recipe: Recipe) -> GreyResNet18:
    network = trained_network(recipe, run / "best.pt")
    if recipe.network != "resnet18" or not isinstance(network, GreyResNet18):
        raise ValueError(f"a {recipe.network} is not served; export a resnet18")
    return network


def _kept_away(xml: Path, recipe: Recipe, examples: list[Example], parts: Parts, cache: Path) -> Evidence:
    tested = [examples[i] for i in parts.test]
    said = run_form(xml, square_renditions(tested, recipe.rendition, cache))
    folds = group_folds(tested, PARTS_OF_A_FOLD, recipe.seed)
    outputs = OutOfFold(tuple(e.image_id for e in tested), folds, said.logits, said.maps)
    return Evidence(outputs, tested, MEASURED_ON_KEPT_AWAY)


def _out_of_fold(folder: Path, form: str, recipe: Recipe, examples: list[Example]) -> Evidence:
    outputs = pooled(folder, form, recipe.folds)
    return Evidence(outputs, outputs.examples(examples), MEASURED_OUT_OF_FOLD)


def _measured(evidence: Evidence, recipe: Recipe, calibration: tuple[float, float]) -> dict[str, Any]:
    """The part of the card that one form fills."""
    probabilities, maps = evidence.outputs.calibrated(*calibration)
    labels = np.array([e.fractured for e in evidence.examples])
    points = chosen_points(probabilities, labels)
    measured_at = points_from_other_folds(probabilities, labels, evidence.outputs.folds)
    figures = measure_ranking(
        probabilities, evidence.examples, measured_at, maps, recipe.rendition_side, default=DEFAULT_POINT
    )
    operating, likely = stated(points, figures["operating_points"])
    figures["measured_on"] = evidence.measured_on
    return {
        "operating_points": operating,
        "default_operating_point": DEFAULT_POINT,
        "likely": likely,
        "score_distribution": {"shares": spread_of(probabilities)},
        "figures": figures,
    }


def spread_of(probabilities: NDArray[np.float64]) -> list[float]:
    """Shares of the scans in equally wide bins from 0 to 1: what the scans of later weeks are compared with."""
    counts, _ = np.histogram(probabilities, bins=BINS, range=(0, 1))
    return [round(float(count) / len(probabilities), 6) for count in counts]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="out folder of training.train")
    parser.add_argument("--data", type=Path, required=True, help="the data set that it was trained on")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; its name names the checkpoint")
    parser.add_argument("--cross-validation", type=Path, help="out folder of training.cross_validate for this recipe")
    parser.add_argument("--table", type=Path, help="JSON of training.compare: the card's comparison of ways")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS), help="the first is the default")
    parser.add_argument("--note", action="append", default=[], help="a sentence for the card; may be given again")
    given = parser.parse_args()
    try:
        table = json.loads(given.table.read_text("utf-8")) if given.table else None
        examples = read_dataset(given.data, progress=say_on_terminal)
        bundle = export(given.run, examples, given.out, given.forms, given.cross_validation, given.note, table)
    except (DatasetError, ValueError, OSError) as error:
        sys.exit(f"The checkpoint cannot be exported: {error}")
    for form in bundle.forms.values():
        point = form.default_point
        sys.stdout.write(
            f"{bundle.name} {form.name} {bundle.identity(form.name)}: AUC {form.figures['auc']:.3f}, "
            f"sensitivity {point.sensitivity:.3f} (at least {point.sensitivity_lower_95:.3f}), "
            f"specificity {point.specificity:.3f} at {point.name}\n"
        )


if __name__ == "__main__":
    main()
