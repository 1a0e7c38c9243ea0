"""Cross-validate a recipe: `python -m training.cross_validate --recipe R --data DIR --out DIR [--only-fold K ...]`.

Each fold trains a network (and its teacher, if the recipe has one) on the other folds and keeps what its deployed forms
say of the scans that it never saw. Folds may be run one by one, on other days and machines; one that was killed goes on
where it stood, a finished one is left alone. Once all are there, the pooled figures are printed.
"""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from screening.whole_files import write_json_whole
from training.data.manifest import DatasetError, Example, read_dataset
from training.data.pictures import square_renditions
from training.data.splits import fold_parts
from training.deployed import run_form
from training.learning.devices import Device, choose_device
from training.learning.initial import trained_network
from training.learning.loop import predict
from training.learning.material import judged_pictures
from training.learning.networks import GreyResNet18
from training.learning.recipe import Recipe
from training.learning.run_folder import check_folds
from training.release.eight_bit import settle
from training.release.evidence import Evidence
from training.release.forms import FORMS, save_forms, typical_indices
from training.release.out_of_fold import OutOfFold, finished_folds, outputs_path, pooled, released_calibration
from training.train import add_device_options, chosen_recipe, device_from, say_on_terminal, train_by_recipe

NOT_DEPLOYED = "torch"
"""Under this name the outputs of networks are kept that have no deployed form: teachers and the original recipe."""


def forms_of(recipe: Recipe) -> tuple[str, ...]:
    return FORMS if recipe.network == "resnet18" and not recipe.squash else (NOT_DEPLOYED,)


def run_fold(
    recipe: Recipe,
    fold: int,
    examples: list[Example],
    out: Path,
    device: Device,
    teachers: tuple[Path, ...] = (),
    init_file: Path | None = None,
    quiet: bool = False,
) -> None:
    """Train without this fold, and keep what each form says of it. A finished fold is left alone.

    Raises ValueError if `out` holds folds of another recipe or of other data.
    """
    check_folds(out, recipe, examples)
    if all(outputs_path(out, fold, form).exists() for form in forms_of(recipe)):
        return
    recipe = dataclasses.replace(recipe, test_fold=fold)
    folder = out / f"fold-{fold}"
    train_by_recipe(recipe, examples, folder, device, teachers, init_file, cache=out / "cache", quiet=quiet)
    keep_outputs(recipe, fold, examples, out)


def keep_outputs(recipe: Recipe, fold: int, examples: list[Example], out: Path) -> None:
    """Run the forms of a fold's trained network over its test part."""
    parts = fold_parts(examples, recipe.folds, fold, recipe.seed, recipe.selection_folds)
    tested = [examples[i] for i in parts.test]
    folder, cache = out / f"fold-{fold}", out / "cache"
    network = trained_network(recipe, folder / "best.pt")
    squares = judged_pictures(recipe, tested, cache)
    if isinstance(network, GreyResNet18) and forms_of(recipe) == FORMS:
        typical = [examples[i] for i in typical_indices(parts.train, recipe.seed)]
        settle(network)
        save_forms(
            network, recipe.rendition_side, square_renditions(typical, recipe.rendition, cache), folder / "forms"
        )
        for form in FORMS:
            said = run_form(folder / "forms" / f"{form}.xml", squares)
            OutOfFold.of_fold(tested, fold, said.logits, said.maps).save(outputs_path(out, fold, form))
        return
    logits = predict(network, squares, choose_device("cpu"))
    OutOfFold.of_fold(tested, fold, logits).save(outputs_path(out, fold, NOT_DEPLOYED))


def summary(recipe: Recipe, out: Path, examples: list[Example], form: str) -> dict[str, Any]:
    """The figures of all finished folds together, with intervals over groups."""
    evidence = Evidence.of(pooled(out, form, recipe.folds), examples, recipe)
    return {
        "form": form,
        "folds": finished_folds(out, form, recipe.folds),
        **evidence.figures(released_calibration(out, form, recipe.folds, examples)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.cross_validate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of a data set in one of the FracAtlas layouts")
    parser.add_argument("--out", type=Path, required=True, help="folder for all folds; a started one goes on")
    parser.add_argument("--recipe", type=Path, help="a JSON file like those in training/recipes")
    parser.add_argument("--init", metavar="INIT", help="as in training.train")
    parser.add_argument("--only-fold", type=int, action="append", help="train this fold now; may be given again")
    parser.add_argument(
        "--teachers", type=Path, help="out folder of a cross-validated teacher, instead of training one"
    )
    add_device_options(parser)
    given = parser.parse_args()
    try:
        device = device_from(given)
        recipe, init_file = chosen_recipe(given.recipe, given.init)
        examples = read_dataset(given.data, progress=say_on_terminal)
        for fold in given.only_fold if given.only_fold is not None else range(recipe.folds):
            teachers = (given.teachers / f"fold-{fold}",) if given.teachers else ()
            run_fold(recipe, fold, examples, given.out, device, teachers, init_file)
        report = {form: summary(recipe, given.out, examples, form) for form in forms_of(recipe)}
    except (DatasetError, ValueError, OSError) as error:
        sys.exit(f"The recipe cannot be cross-validated: {error}")
    write_json_whole(given.out / "out-of-fold.json", report)
    for form, figures in report.items():
        sys.stdout.write(as_line(form, figures) + "\n")


def as_line(form: str, figures: dict[str, Any]) -> str:
    low, high = figures["intervals_95"]["auc"]
    folds = ", ".join(map(str, figures["folds"]))
    return (
        f"{form}, folds {folds}: {figures['n']} scans, {figures['fractured']} fractured, "
        f"AUC {figures['auc']:.3f} ({low:.3f} to {high:.3f}), average precision {figures['average_precision']:.3f}, "
        f"recall {figures['recall_at_precision_49']:.3f} at precision 0.49"
    )


if __name__ == "__main__":
    main()
