"""The model card in Markdown, from a bundle's own figures: `python -m training.card --checkpoint C --out FILE`."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from screening.inference.bundle import Bundle, BundleError, Form, read_bundle
from training.measuring import wording
from training.measuring.drawing import draw
from training.measuring.form_section import PICTURE_PREFIX, form_section, ranged, table, told_row
from training.measuring.points import promised_sensitivity
from training.measuring.vector import write_drawings
from training.measuring.wording import number

_SELECTED_BY = (
    "the mean specificity over sensitivities 0.80 to 0.96: the promise is a sensitivity, so its price in specificity "
    "is what is minimised; one sensitivity alone would hang on a single scan. Of the epochs within one standard error "
    "of the best, the latest is taken"
)
_BEGINS = {
    "imagenet": "ImageNet weights",
    "pretrained": "the weights in `training/weights`, which were pretrained without labels",
    "file": "weights of a file",
}


def model_card(bundle: Bundle, pictures: str | None = None) -> str:
    """Everything that a reader of the card needs, with every number taken from the bundle; what it lacks is left out.

    pictures: where the drawings of the default form lie (`write_drawings`), seen from the card; without it, none.
    """
    card, training = bundle.card, bundle.card.get("training", {})
    lines = [
        f"# Model card: {bundle.name}",
        "",
        card.get("intended_use", ""),
        "",
        *_promise(bundle.forms[bundle.default_form]),
        "## What it is",
        "",
        f"- {card.get('architecture', 'ResNet-18')}{'; made on ' + card['created'] if 'created' in card else ''}.",
        f"- Input: the rendition, 8-bit grey, longest side {bundle.rendition.side} px, centred on a black square, "
        f"grey values stretched between the {bundle.rendition.low_percentile} and "
        f"{bundle.rendition.high_percentile} percentiles (rendition {bundle.rendition.hash}).",
        f"- Output: a calibrated probability of a fracture, and a class activation map: {_pooled(training)}.",
        f"- Forms: {', '.join(f'`{name}` (checkpoint {bundle.identity(name)})' for name in bundle.forms)}; "
        f"`{bundle.default_form}` is the default.",
        *_trained_on(training),
        *_ways(training.get("cross_validation")),
    ]
    for form in bundle.forms.values():
        lines += form_section(form, pictures if form.name == bundle.default_form else None)
    lines += [*_forms_compared(bundle), *_limits(bundle)]
    return "\n".join(lines).rstrip() + "\n"


def _pooled(training: dict[str, Any]) -> str:
    calibration = training.get("calibration", {})
    if not calibration.get("peak"):
        return "its mean plus the bias is the logit"
    share = calibration["peak"] / calibration["slope"]
    return (
        f"its mean, plus {share:.2f} times its largest value, plus the bias is the logit. What the largest "
        "value counts is fitted with the calibration, on the scans that the figures are of"
    )


def _promise(form: Form) -> list[str]:
    told = told_row(form.figures)
    sensitivity = promised_sensitivity(told) if told else form.default_point.sensitivity_lower_95
    return [
        f"**{wording.promise(sensitivity)}** That is `{form.name}` at its default operating point, "
        f"`{form.default_operating_point}`. Nothing is left out of the worklist, and no fracture is ever ruled out.",
        "",
    ]


def _trained_on(training: dict[str, Any]) -> list[str]:
    if not training:
        return []
    lines = ["", "## What it was trained on", ""]
    lines += [f"- {training['attribution']}. {training['data']}."] if "attribution" in training else []
    split = training.get("split", {})
    if "folds" in split:
        kept = split.get("test_fold")
        measured = split.get("cross_validated_folds") or range(split["folds"])
        lines.append(
            f"- {split['folds']} folds by {split['by']} (pictures that probably show one patient, and near-duplicates, "
            f"stay together), stratified by label and body part, seed {split['seed']}. "
            + (
                "The released weights saw all of them; the figures are those of networks of the same recipe, measured "
                f"out of fold on {wording.named_folds(measured, split['folds'])}."
                if kept is None
                else f"Fold {kept} is the test part."
            )
            + " Damaged files and five near-identical pairs with opposite labels are left out."
        )
    parts = {name: part for name, part in split.get("images", {}).items() if part["n"]}
    if parts:
        rows = ((name, part["n"], part["fractured"], part["groups"]) for name, part in parts.items())
        lines += ["", *table(("part", "images", "fractured", "groups"), rows), ""]
    lines += _recipe(training)
    lines += [f"- {note}" for note in training.get("notes", [])]
    return lines


def _recipe(training: dict[str, Any]) -> list[str]:
    recipe = training.get("recipe")
    if not recipe:
        return []
    stages = _stages(recipe)
    begins = _BEGINS.get(stages[0].get("init"), "random weights")
    frozen = f" The stem and the first {n} of 8 blocks stay as they were." if (n := recipe.get("frozen_blocks")) else ""
    lines = [
        f"- ResNet-18 from {begins}: {', then '.join(_stage(stage) for stage in stages)}.{frozen} Fractured scans "
        f"weigh {recipe['positive_weight']} times in the loss. The whole recipe is in `card.json`."
    ]
    selected = training.get("selected_epoch")
    if selected and recipe.get("selection_folds"):
        lines.append(f"- Epoch {selected['epoch']} of {training['epochs_trained']} was selected by {_SELECTED_BY}.")
    elif selected:
        lines.append(
            "- All scans train these weights, and none is left to select an epoch: the last one is taken. In the "
            f"cross-validation each network's epoch is selected by {_SELECTED_BY}."
        )
    return lines


def _stages(recipe: dict[str, Any]) -> list[dict[str, Any]]:
    """The recipe after all that are trained before it."""
    return [*(_stages(recipe["before"]) if recipe.get("before") else ()), recipe]


def _stage(recipe: dict[str, Any]) -> str:
    """One stage of training: how long, at which sides, and what it learns from besides labels."""
    told = ", ".join(f"{phase['epochs']} epochs at {phase['side']} px" for phase in recipe["phases"])
    if not recipe.get("distillation"):
        return told
    teacher = recipe.get("teacher")
    name = f"an EfficientNet-{teacher['network'].capitalize()}" if teacher else "a network"
    if teacher and not teacher["phases"]:
        return f"{told}, without labels, towards the features of {name} as ImageNet left it"
    return f"{told}, taught by {name} that was fine-tuned from ImageNet weights"


def _ways(compared: dict[str, Any] | None) -> list[str]:
    """The comparison of ways: on one fold, then out of fold."""
    if not compared or not compared.get("rows"):
        return []
    lines = ["", "## The ways that were tried", ""]
    if compared.get("folds"):
        lines += [
            f"All of the same {compared['folds']} folds by group. In brackets: 95% interval by bootstrap over groups."
        ]
    heads = ("way", *wording.MEASURE_NAMES.values())
    for measured_on in dict.fromkeys(row["folds"] for row in compared["rows"]):
        rows = [row for row in compared["rows"] if row["folds"] == measured_on]
        cells = [
            (
                f"**{row['way']}**{': ' + row['what'] if row.get('what') else ''}",
                *(ranged(row["figures"].get(m), row.get("intervals_95", {}).get(m)) for m in wording.MEASURE_NAMES),
            )
            for row in rows
        ]
        lines += ["", f"### {measured_on[:1].upper()}{measured_on[1:]}", "", *table(heads, cells)]
    return lines


def _forms_compared(bundle: Bundle) -> list[str]:
    """What eight bits cost against 32: every measure, and the sensitivity at the points of the same name."""
    if not {"fp32", "int8"} <= bundle.forms.keys():
        return []
    full, small = bundle.forms["fp32"], bundle.forms["int8"]
    rows = [
        (
            words,
            number(full.figures[name]),
            number(small.figures[name]),
            f"{small.figures[name] - full.figures[name]:+.4f}",
        )
        for name, words in wording.MEASURE_NAMES.items()
        if name in full.figures and name in small.figures
    ]
    points = {point.name: point for point in full.operating_points}
    rows += [
        (
            f"Sensitivity at {point.name}",
            number(points[point.name].sensitivity),
            number(point.sensitivity),
            f"{point.sensitivity - points[point.name].sensitivity:+.4f}",
        )
        for point in small.operating_points
        if point.name in points
    ]
    return ["", "## `int8` against `fp32`", "", *table(("figure", "fp32", "int8", "difference"), rows)]


def _limits(bundle: Bundle) -> list[str]:
    """What it cannot do, and where it fails: the subgroups that do worse than all scans, of those with some cases."""
    lines = ["", "## Limits", "", *(f"- {limit}" for limit in bundle.card.get("limits", []))]
    rows = bundle.forms[bundle.default_form].figures.get("subgroups", [])
    every = next((row for row in rows if row["subgroup"] == "all"), None)
    if every is None:
        return lines
    weak = sorted(
        (row for row in rows if row["auc"] is not None and row["fractured"] >= 5 and row["auc"] < every["auc"] - 0.01),
        key=lambda row: float(row["auc"]),
    )
    if weak:
        told = "; ".join(
            f"{row['subgroup']} (AUC {row['auc']:.3f}, sensitivity {number(row['sensitivity'])}, "
            f"{row['fractured']} fractured)"
            for row in weak
        )
        lines.append(f"- It does worse than over all scans (AUC {every['auc']:.3f}) on: {told}.")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.card", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a bundle")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--images", type=Path, help="folder for the drawings; `images` beside the card if not given")
    given = parser.parse_args()
    images = given.images or given.out.parent / "images"
    try:
        bundle = read_bundle(given.checkpoint)
        drawings = draw(bundle.forms[bundle.default_form].figures)
        write_drawings(drawings, images, PICTURE_PREFIX, png=False)
        place = Path(os.path.relpath(images, given.out.parent)).as_posix()
        given.out.write_text(model_card(bundle, place), "utf-8")
    except (BundleError, OSError) as error:
        sys.exit(f"The model card cannot be written: {error}")


if __name__ == "__main__":
    main()
