"""The model card in Markdown, from a bundle's own figures: `python -m training.card --checkpoint C --out FILE`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from screening.inference.bundle import Bundle, BundleError, Form, read_bundle

MEASURE_NAMES = {
    "auc": "ROC AUC",
    "average_precision": "Average precision",
    "precision_at_recall_75": "Precision at recall 0.75",
    "recall_at_precision_49": "Recall at precision 0.49",
    "specificity_at_sensitivity_90": "Specificity at sensitivity 0.90",
}


def model_card(bundle: Bundle) -> str:
    """Everything that a reader of the card needs, with every number taken from the bundle."""
    card, training = bundle.card, bundle.card["training"]
    split, recipe = training["split"], training["recipe"]
    parts = split["images"]
    sides = ", ".join(f"{phase['epochs']} epochs at {phase['side']} px" for phase in recipe["phases"])
    lines = [
        f"# Model card: {bundle.name}",
        "",
        f"{card['intended_use']}",
        "",
        "## What it is",
        "",
        f"- {card['architecture']}; made on {card['created']}.",
        f"- Input: the rendition, 8-bit grey, longest side {bundle.rendition.side} px, centred on a black square, "
        f"grey values stretched between the {bundle.rendition.low_percentile} and "
        f"{bundle.rendition.high_percentile} percentiles (rendition {bundle.rendition.hash}).",
        "- Output: a calibrated probability of a fracture, and a class activation map whose mean plus the bias is"
        " the logit.",
        f"- Forms: {', '.join(f'`{name}` (checkpoint {bundle.identity(name)})' for name in bundle.forms)}; "
        f"`{bundle.default_form}` is the default.",
        "",
        "## What it was trained on",
        "",
        f"- {training['attribution']}. {training['data']}.",
        f"- {split['folds']} folds by {split['by']} (pictures that probably show one patient, and near-duplicates, stay"
        f" together), stratified by label and body part, seed {split['seed']}. Fold {split['test_fold']} is the test "
        "part, the next fold calibrates. Damaged files and five near-identical pairs with opposite labels are left "
        "out.",
        "",
        "| part | images | fractured | groups | used for |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {parts[name]['n']} | {parts[name]['fractured']} | {parts[name]['groups']} | {use} |"
            for name, use in (
                ("train", "weights"),
                ("calibration", "choosing the epoch, calibrating the probability, choosing the thresholds"),
                ("test", "nothing but the figures below"),
            )
        ),
        "",
        f"- ResNet-18 from random weights, taught by an EfficientNet-Lite0 (ImageNet weights, fine-tuned on the same "
        f"train part): weighted cross-entropy (fractured x {recipe['positive_weight']}), the teacher's logits "
        f"(x {recipe['distillation']['logit']}) and standardised features (x {recipe['distillation']['features']}), "
        f"and fracture boxes at two strides (x {recipe['box_weight']}). {sides}; AdamW, weights averaged "
        f"exponentially. The whole recipe is in `card.json`.",
        f"- Epoch {training['selected_epoch']['epoch']} of {training['epochs_trained']} was selected by the mean "
        "specificity over sensitivities 0.80 to 0.96 on the calibration part: the promise is a sensitivity, so its "
        "price in specificity is what is minimised; one sensitivity alone would hang on a single scan.",
    ]
    lines += [f"- {note}" for note in training["notes"]]
    for form in bundle.forms.values():
        lines += ["", *_form_section(form)]
    lines += ["", "## Limits", "", *(f"- {limit}" for limit in card["limits"]), ""]
    return "\n".join(lines)


def _form_section(form: Form) -> list[str]:
    figures = form.figures
    rows = [
        f"## Figures of `{form.name}`",
        "",
        f"Measured on the deployed form, on {figures['n']} images ({figures['fractured']} fractured) of "
        f"{figures['groups']} groups: {figures['measured_on']}. Intervals are 95%, by bootstrap over groups.",
        "",
        "| figure | value | interval |",
        "|---|---|---|",
        *(
            f"| {title} | {figures[name]:.3f} | {' to '.join(f'{x:.3f}' for x in figures['intervals_95'][name])} |"
            for name, title in MEASURE_NAMES.items()
        ),
        f"| Brier score | {figures['brier']:.3f} | |",
        f"| Expected calibration error | {figures['calibration_error']:.3f} | |",
        "",
        "Thresholds were chosen on the calibration part for the target, and measured on the test part. The lower bound "
        "is Clopper-Pearson, one-sided, 95%.",
        "",
        "| operating point | target | threshold | sensitivity | at least | specificity | PPV | NPV |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows += [
        f"| {point.name}{' (default)' if point is form.default_point else ''} | {point.target_sensitivity:.2f} "
        f"| {point.threshold:.4f} | {point.sensitivity:.3f} | {point.sensitivity_lower_95:.3f} "
        f"| {point.specificity:.3f} | {point.ppv:.3f} | {point.npv:.3f} |"
        for point in form.operating_points
    ]
    rows += [
        "",
        f"Within subgroups, at `{form.default_operating_point}` (small groups say little; see the counts):",
        "",
        "| subgroup | images | fractured | AUC | sensitivity | specificity |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row['subgroup']} | {row['n']} | {row['fractured']} | {_number(row['auc'])} "
            f"| {_number(row['sensitivity'])} | {_number(row['specificity'])} |"
            for row in figures["subgroups"]
        ),
    ]
    pointing = figures["localization"]
    if pointing["fractured_with_boxes"]:
        rows += [
            "",
            f"The peak of the class activation map meets a fracture box in {pointing['peak_in_box']} of "
            f"{pointing['fractured_with_boxes']} fractured images with boxes. It is a hint where to look, no outline.",
        ]
    return rows


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.card", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a bundle")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    given = parser.parse_args()
    try:
        given.out.write_text(model_card(read_bundle(given.checkpoint)), "utf-8")
    except (BundleError, OSError) as error:
        sys.exit(f"The model card cannot be written: {error}")


if __name__ == "__main__":
    main()
