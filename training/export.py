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
from training.data.splits import fold_parts
from training.deployed import run_form
from training.learning.initial import trained_resnet
from training.learning.recipe import Recipe
from training.learning.run_folder import check_data, check_folds
from training.measuring.calibration import Calibration
from training.measuring.wording import named_folds
from training.release.card_facts import INTENDED_USE, LIMITS, split_facts, training_facts
from training.release.eight_bit import settle
from training.release.evidence import Evidence
from training.release.forms import FORMS, fold_calibration, save_forms, typical_indices
from training.release.golden import golden_renditions
from training.release.out_of_fold import OutOfFold, finished_folds, pooled
from training.release.thresholds import DEFAULT_POINT, chosen_points, stated
from training.train import say_on_terminal

MEASURED_ON_KEPT_AWAY = (
    "groups that neither trained the weights nor chose an epoch, each scan at thresholds chosen on other groups of them"
)
MEASURED_OUT_OF_FOLD = (
    "out of fold: each scan of {folds} by a network of the same recipe that never saw its group, at thresholds chosen "
    "on other groups"
)


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
    all data without a cross-validation to measure its recipe, for other data than the run had, and for a
    cross-validation of another recipe.
    """
    recipe = Recipe.read(run / "recipe.json")
    check_data(run, examples)
    cache = cache or run / "cache"
    if recipe.test_fold is None and cross_validation is None:
        raise ValueError("this run trained on all data; name the cross-validation of its recipe, which measures it")
    network = trained_resnet(recipe, run / "best.pt")
    validated = _validated(cross_validation, recipe, examples, forms) if cross_validation else []
    parts = fold_parts(examples, recipe.folds, recipe.test_fold, recipe.seed, recipe.selection_folds)
    typical = [examples[i] for i in typical_indices(parts.train, recipe.seed)]
    typical_squares = square_renditions(typical, recipe.rendition, cache)

    if cross_validation is None:
        trial = trained_resnet(recipe, run / "best.pt")
        settle(trial)
        save_forms(trial, recipe.rendition_side, typical_squares, run / "forms", forms)
        tested = [examples[i] for i in parts.test]
        outputs = {form: _outputs_of(run / "forms" / f"{form}.xml", recipe, tested, cache) for form in forms}
        measured_on = MEASURED_ON_KEPT_AWAY
    else:
        outputs = {form: pooled(cross_validation, form, recipe.folds) for form in forms}
        measured_on = MEASURED_OUT_OF_FOLD.format(folds=named_folds(validated, recipe.folds))
    evidence = {form: Evidence.of(said, examples, recipe) for form, said in outputs.items()}
    calibration = evidence[forms[0]].calibration
    fold_calibration(network, calibration)

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
        "architecture": "ResNet-18 (torchvision), one input channel, one output",
        "rendition": recipe.rendition.as_dict(),
        "forms": {form: _measured(evidence[form], calibration, measured_on) for form in forms},
        "default_form": forms[0],
        "files": {name: file_digest(folder / name) for name in files},
        "training": {
            **training_facts(run, recipe),
            "split": split_facts(recipe, examples, parts, validated),
            "calibration": calibration._asdict(),
            "cross_validation": table,
            "notes": list(notes),
        },
        "intended_use": INTENDED_USE,
        "limits": list(LIMITS),
    }
    (folder / CARD).write_text(json.dumps(card, indent=1, allow_nan=False) + "\n", "utf-8")
    return read_bundle(folder)


def _validated(validation: Path, recipe: Recipe, examples: list[Example], forms: Sequence[str]) -> list[int]:
    """The folds that every form was measured on."""
    check_folds(validation, recipe, examples)
    finished = {form: finished_folds(validation, form, recipe.folds) for form in forms}
    for form, folds in finished.items():
        if folds != finished[forms[0]]:
            raise ValueError(
                f"{validation} has folds {finished[forms[0]]} of {forms[0]} and {folds} of {form}; "
                "finish them with training.cross_validate"
            )
    return finished[forms[0]]


def _outputs_of(xml: Path, recipe: Recipe, tested: list[Example], cache: Path) -> OutOfFold:
    """What the file of a form says of the fold that was kept away."""
    said = run_form(xml, square_renditions(tested, recipe.rendition, cache))
    return OutOfFold.of_fold(tested, recipe.test_fold, said.logits, said.maps)


def _measured(evidence: Evidence, calibration: Calibration, measured_on: str) -> dict[str, Any]:
    """The part of the card that one form fills."""
    probabilities, _ = evidence.outputs.calibrated(calibration)
    figures = evidence.figures(calibration)
    points = chosen_points(probabilities, np.array([e.fractured for e in evidence.examples]))
    operating, likely = stated(points, figures["operating_points"])
    figures["measured_on"] = measured_on
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
