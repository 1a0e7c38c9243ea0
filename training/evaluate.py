"""Measure a checkpoint bundle: `python -m training.evaluate --checkpoint C --data DIR [--part test] [--json]`."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from screening.inference.bundle import Bundle, BundleError, OperatingPoint, read_bundle
from screening.operating_point import score_threshold
from screening.radiographs.rendition import content_box
from training import figures
from training.calibration import reliability
from training.dataset import DatasetError, Example, load_grey, read_dataset, square_renditions
from training.deployed import Outputs, run_form
from training.splits import train_calibration_test

MEASURES: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "auc": figures.roc_auc,
    "average_precision": figures.average_precision,
    "precision_at_recall_75": lambda p, y: figures.precision_at_recall(p, y, 0.75),
    "recall_at_precision_49": lambda p, y: figures.recall_at_precision(p, y, 0.49),
    "specificity_at_sensitivity_90": lambda p, y: figures.specificity_at(p, y, 0.90),
}


def measure(probabilities: NDArray[np.float64], examples: list[Example], draws: int = 1000) -> dict[str, Any]:
    """Figures of a ranking, with 95% intervals by bootstrap over groups: images of one group are not independent."""
    labels = np.array([e.fractured for e in examples])
    calibration_error, curve = reliability(probabilities, labels)
    return {
        "n": len(examples),
        "fractured": int(labels.sum()),
        "groups": len({e.group for e in examples}),
        **{name: function(probabilities, labels) for name, function in MEASURES.items()},
        "brier": float(((probabilities - labels) ** 2).mean()),
        "calibration_error": calibration_error,
        "reliability": curve,
        "intervals_95": group_bootstrap(probabilities, examples, draws),
    }


def group_bootstrap(
    probabilities: NDArray[np.float64], examples: list[Example], draws: int, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95% percentile intervals of all measures, drawing whole groups with replacement."""
    labels = np.array([e.fractured for e in examples])
    _, membership = np.unique([e.group for e in examples], return_inverse=True)
    members = [np.flatnonzero(membership == g) for g in range(membership.max() + 1)]
    random = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in MEASURES}
    for _ in range(draws):
        chosen = np.concatenate([members[g] for g in random.integers(len(members), size=len(members))])
        if labels[chosen].all() or not labels[chosen].any():
            continue
        for name, function in MEASURES.items():
            drawn[name].append(function(probabilities[chosen], labels[chosen]))
    return {
        name: (float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5)))
        for name, values in drawn.items()
        if values
    }


def measured_point(
    name: str, target: float, threshold: float, probabilities: NDArray[np.float64], labels: NDArray[np.bool_]
) -> OperatingPoint:
    """What a threshold gives on labelled scans that did not choose it.

    PPV where nothing is flagged, and NPV where everything is, are stated as 0: nothing was shown.
    """
    score = score_threshold(probabilities, labels, threshold)
    return OperatingPoint(
        name=name,
        target_sensitivity=target,
        threshold=threshold,
        sensitivity=score.sensitivity,
        sensitivity_lower_95=score.sensitivity_lower_95,
        specificity=score.specificity,
        ppv=_stated(score.ppv),
        npv=_stated(score.npv),
    )


def subgroups(probabilities: NDArray[np.float64], examples: list[Example], threshold: float) -> list[dict[str, Any]]:
    """Sensitivity and specificity within body parts, hardware and views. Small groups are shown with their counts."""
    labels = np.array([e.fractured for e in examples])
    wanted: dict[str, NDArray[np.bool_]] = {
        f"body part: {part}": np.array([e.body_part == part for e in examples])
        for part in sorted({e.body_part for e in examples})
    }
    for trait in ("hardware", "frontal", "lateral", "oblique", "multiscan", "mixed"):
        wanted[trait] = np.array([e.traits.get(trait) == "1" for e in examples])
    rows = []
    for name, chosen in wanted.items():
        if chosen.any():
            score = score_threshold(probabilities[chosen], labels[chosen], threshold)
            both = labels[chosen].any() and not labels[chosen].all()
            rows.append(
                {
                    "subgroup": name,
                    "n": int(chosen.sum()),
                    "fractured": int(labels[chosen].sum()),
                    "auc": figures.roc_auc(probabilities[chosen], labels[chosen]) if both else None,
                    "sensitivity": _none_if_nan(score.sensitivity),
                    "specificity": _none_if_nan(score.specificity),
                }
            )
    return rows


def pointing_game(outputs: Outputs, examples: list[Example], side: int) -> dict[str, Any]:
    """How often the peak of the class activation map falls into a fracture box, of fractured scans that have boxes.

    The peak is a cell of the map; it counts when the cell overlaps a box, because a cell is all the map can say.
    """
    hits = total = 0
    for index, example in enumerate(examples):
        if not example.boxes:
            continue
        height, width = load_grey(example.path).shape
        scale = side / max(height, width)
        top, left, bottom, right = content_box(max(1, round(height * scale)), max(1, round(width * scale)), side)
        rows, columns = outputs.maps[index].shape
        row, column = np.unravel_index(int(outputs.maps[index].argmax()), (rows, columns))
        y0, y1 = row * side / rows, (row + 1) * side / rows
        x0, x1 = column * side / columns, (column + 1) * side / columns
        total += 1
        hits += any(
            left + x_min * (right - left) < x1
            and x0 < left + x_max * (right - left)
            and top + y_min * (bottom - top) < y1
            and y0 < top + y_max * (bottom - top)
            for x_min, y_min, x_max, y_max in example.boxes
        )
    return {"fractured_with_boxes": total, "peak_in_box": hits, "share": hits / total if total else None}


def restate(sensitivity: float, specificity: float, prevalence: float) -> tuple[float, float]:
    """(PPV, NPV) at another prevalence, by Bayes' rule."""
    flagged_right, flagged_wrong = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    missed, passed = (1 - sensitivity) * prevalence, specificity * (1 - prevalence)
    ppv = flagged_right / (flagged_right + flagged_wrong) if flagged_right + flagged_wrong else float("nan")
    npv = passed / (passed + missed) if passed + missed else float("nan")
    return ppv, npv


def evaluate(bundle: Bundle, form: str, examples: list[Example], cache: Path) -> dict[str, Any]:
    """Everything that is reported of one form of a bundle on these examples."""
    squares = square_renditions(examples, bundle.rendition, cache)
    outputs = run_form(bundle.folder / f"{form}.xml", squares)
    labels = np.array([e.fractured for e in examples])
    points = []
    for known in bundle.forms[form].operating_points:
        point = measured_point(known.name, known.target_sensitivity, known.threshold, outputs.probabilities, labels)
        at = {}
        for prevalence in (0.02, 0.05, 0.20):
            ppv, npv = restate(point.sensitivity, point.specificity, prevalence)
            at[str(prevalence)] = {"ppv": _none_if_nan(ppv), "npv": _none_if_nan(npv)}
        points.append({key: _none_if_nan(value) for key, value in vars(point).items()} | {"at_prevalence": at})
    return {
        "checkpoint": bundle.name,
        "form": form,
        "figures": measure(outputs.probabilities, examples),
        "operating_points": points,
        "subgroups": subgroups(outputs.probabilities, examples, bundle.forms[form].default_point.threshold),
        "localization": pointing_game(outputs, examples, bundle.rendition.side),
    }


def _stated(rate: float) -> float:
    return 0.0 if np.isnan(rate) else rate


def _none_if_nan(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a bundle")
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv and images/")
    parser.add_argument("--form", help="fp32 or int8; the bundle's default form if not given")
    parser.add_argument(
        "--part",
        choices=("all", "test"),
        default="all",
        help="test: of the data that trained this checkpoint, only the groups that it never saw",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    try:
        bundle = read_bundle(given.checkpoint)
        form = given.form or bundle.default_form
        if form not in bundle.forms:
            raise DatasetError(f"{bundle.name} has no form {form}; choose {' or '.join(bundle.forms)}")
        examples = read_dataset(given.data)
        if given.part == "test":
            split = bundle.card["training"]["split"]
            *_, test = train_calibration_test(examples, split["folds"], split["test_fold"], split["seed"])
            examples = [examples[i] for i in test]
        with tempfile.TemporaryDirectory() as cache:
            report = evaluate(bundle, form, examples, Path(cache))
    except (DatasetError, BundleError, ValueError) as error:
        sys.exit(f"The checkpoint cannot be evaluated: {error}")
    sys.stdout.write((json.dumps(report, indent=2) if given.json else as_text(report)) + "\n")


def as_text(report: dict[str, Any]) -> str:
    """The report for a terminal."""
    measured, lines = report["figures"], [f"{report['checkpoint']} ({report['form']})"]
    lines.append(f"{measured['n']} images, {measured['fractured']} fractured, {measured['groups']} groups")
    for name in MEASURES:
        low, high = measured["intervals_95"][name]
        lines.append(f"{name:32} {measured[name]:.3f}  ({low:.3f} to {high:.3f})")
    for point in report["operating_points"]:
        lines.append(
            f"{point['name']:14} threshold {point['threshold']:.4f}  sensitivity {point['sensitivity']:.3f} "
            f"(at least {point['sensitivity_lower_95']:.3f})  specificity {point['specificity']:.3f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
