"""Measure a checkpoint bundle: `python -m training.evaluate --checkpoint C --data DIR [--json] [--report DIR]`."""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from screening.inference.bundle import Bundle, BundleError, read_bundle
from training.data.manifest import DatasetError, Example, read_dataset
from training.data.pictures import square_renditions
from training.data.splits import group_folds
from training.deployed import run_form
from training.learning.run_folder import digest_of
from training.measuring import wording
from training.measuring.points import points_of, promised_sensitivity
from training.measuring.ranking import PREVALENCES, measure_ranking
from training.measuring.report import write_report
from training.measuring.thumbnails import error_thumbnails

APART = ("operating_points", "subgroups", "localization")
"""Parts of the figures that the JSON document shows beside them."""
PARTS = {"all": "all of the data set", "test": "the groups that it never saw"}


def evaluate(
    bundle: Bundle,
    form: str,
    examples: Sequence[Example],
    cache: Path,
    part: str = "all",
    prevalences: Sequence[float] = PREVALENCES,
    report: Path | None = None,
) -> dict[str, Any]:
    """Run one form of a bundle over these examples and measure it: the document that --json prints.

    cache: folder for renditions; report: folder to write `report.html` and its curves into, if they are wanted.
    """
    known = bundle.forms[form]
    outputs = run_form(bundle.folder / f"{form}.xml", square_renditions(list(examples), bundle.rendition, cache))
    probabilities, side = outputs.probabilities, bundle.rendition.side
    figures = measure_ranking(
        probabilities,
        examples,
        points_of(known),
        maps=outputs.maps,
        side=side,
        prevalences=prevalences,
        default=known.default_operating_point,
    )
    identity = bundle.identity(form)
    if report:
        facts = {"Checkpoint": identity, "Measured on": PARTS[part]}
        thumbnails = error_thumbnails(probabilities, examples, known.default_point.threshold, outputs.maps, side)
        write_report(report, f"{bundle.name} {form}", facts, figures, thumbnails)
    return {
        "checkpoint": bundle.name,
        "identity": identity,
        "form": form,
        "part": part,
        "figures": {name: value for name, value in figures.items() if name not in APART},
        **{name: figures[name] for name in APART},
    }


def unseen(bundle: Bundle, examples: list[Example]) -> list[Example]:
    """Of the data that trained this checkpoint, the groups that it never saw.

    Raises DatasetError if it saw all, and for other data: their folds would be others, and hold scans that it saw.
    """
    split = bundle.card.get("training", {}).get("split", {})
    if split.get("test_fold") is None:
        raise DatasetError(
            f"{bundle.name} kept no test part: all its data trained it; measure it on other data with --part all"
        )
    trained_with = sum(part["n"] for part in split["images"].values())
    digest = digest_of(examples)
    if split.get("data", digest) != digest or trained_with != len(examples):
        raise DatasetError(
            f"these {len(examples)} scans are not the {trained_with} that {bundle.name} was trained with, so that what "
            "it never saw cannot be told; name the same data, or measure it with --part all"
        )
    folds = group_folds(examples, split["folds"], split["seed"])
    return [example for example, fold in zip(examples, folds, strict=True) if fold == split["test_fold"]]


def as_text(document: dict[str, Any]) -> str:
    """The document for a terminal."""
    measured = document["figures"]
    lines = [
        f"{document['checkpoint']} ({document['form']})",
        f"{measured['n']} images, {measured['fractured']} fractured, {measured['groups']} groups",
    ]
    for name, words in wording.MEASURE_NAMES.items():
        within = wording.interval(measured["intervals_95"][name])
        lines.append(f"{words:32} {measured[name]:.3f}  ({within})")
    for point in document["operating_points"]:
        lines.append(
            f"{point['name']:14} threshold {point['threshold']:.4f}  sensitivity {point['sensitivity']:.3f} "
            f"(at least {promised_sensitivity(point):.3f})  specificity {point['specificity']:.3f}"
        )
    if document["localization"]["fractured_with_boxes"]:
        lines += [
            f"{words}: {wording.number(document['localization'][name]['share'])}"
            for name, words in wording.LOCALIZATION_NAMES.items()
        ]
    return "\n".join(lines)


def _prevalence(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is no prevalence; write a share between 0 and 1, such as 0.05")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a bundle")
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv and images/")
    parser.add_argument("--form", help="fp32 or int8; the bundle's default form if not given")
    parser.add_argument(
        "--part",
        choices=PARTS,
        default="all",
        help="test: of the data that trained this checkpoint, only the groups that it never saw",
    )
    parser.add_argument(
        "--prevalence",
        type=_prevalence,
        nargs="+",
        default=PREVALENCES,
        help="shares of fractured scans at which PPV and NPV are restated",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--report", type=Path, help="folder for report.html and its curves; it shows pictures of the data set"
    )
    given = parser.parse_args()
    try:
        bundle = read_bundle(given.checkpoint)
        form = given.form or bundle.default_form
        if form not in bundle.forms:
            raise DatasetError(f"{bundle.name} has no form {form}; choose {' or '.join(bundle.forms)}")
        examples = read_dataset(given.data)
        if given.part == "test":
            examples = unseen(bundle, examples)
        with tempfile.TemporaryDirectory() as cache:
            document = evaluate(bundle, form, examples, Path(cache), given.part, given.prevalence, given.report)
    except (DatasetError, BundleError, ValueError, OSError) as error:
        sys.exit(f"The checkpoint cannot be evaluated: {error}")
    sys.stdout.write((json.dumps(document, indent=2) if given.json else as_text(document)) + "\n")


if __name__ == "__main__":
    main()
