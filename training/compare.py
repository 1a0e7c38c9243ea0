"""The table of ways that a card shows: `python -m training.compare --data DIR --out FILE NAME=FOLDER[:FORM] ...`.

Each folder is one of training.cross_validate. A way stands in the table with its first finished fold, so that all are
compared on the same scans, and once more with all folds together where they are finished. The first way named is the
baseline: every other one is told with its difference to it, by bootstrap over groups, on the same scans. --earlier
puts the rows of a released card's table behind that baseline, before the other ways: their outputs may be gone.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from screening.whole_files import write_json_whole
from training.data.manifest import DatasetError, Example, read_dataset
from training.learning.recipe import Recipe
from training.learning.run_folder import check_folds
from training.measuring.bootstrap import group_weights, order_measures, paired_differences
from training.measuring.calibration import Calibration
from training.release.out_of_fold import OutOfFold, finished_folds, outputs_path, pooled, released_calibration


@dataclass(frozen=True)
class Way:
    """A cross-validated recipe, finished or not."""

    name: str
    folder: Path
    form: str

    @classmethod
    def parse(cls, text: str) -> "Way":
        """NAME=FOLDER[:FORM]; the form is fp32 if not given. Raises ValueError."""
        name, sign, rest = text.partition("=")
        if not (name and sign and rest):
            raise ValueError(f"{text!r} names no way; write NAME=FOLDER or NAME=FOLDER:FORM")
        folder, _, form = rest.partition(":")
        return cls(name, Path(folder), form or "fp32")


def compare(ways: Sequence[Way], examples: Sequence[Example], fold: int = 0) -> dict[str, Any]:
    """The table: rows over this fold for every way that has it, and over all folds for those that finished them.

    Raises ValueError for a way without outputs, or with folds of several recipes.
    """
    rows, folds = [], 0
    for parts in ("one", "all"):
        base: tuple[OutOfFold, np.ndarray[Any, Any]] | None = None
        for way in ways:
            recipe = _recipe_of(way)
            check_folds(way.folder, recipe, examples)
            folds = recipe.folds
            done = finished_folds(way.folder, way.form, folds)
            if not done:
                raise ValueError(
                    f"{way.folder} has no finished fold of the form {way.form}; name another, "
                    "`torch` for teachers and the original recipe"
                )
            if parts == "one" and fold in done:
                outputs = OutOfFold.load(outputs_path(way.folder, fold, way.form))
            elif parts == "all" and len(done) == folds:
                outputs = pooled(way.folder, way.form, folds)
            else:
                continue
            calibration = released_calibration(way.folder, way.form, folds, examples)
            row, probabilities = _row(way, outputs, calibration, examples)
            row["folds"] = f"fold {fold}" if parts == "one" else f"all {folds}, out of fold"
            if base is None:
                base = (outputs, probabilities)
            else:
                row["against_first"] = _against(base, (outputs, probabilities), examples)
            rows.append(row)
    return {"folds": folds, "rows": rows}


def with_earlier(table: dict[str, Any], card: Path) -> dict[str, Any]:
    """The table with the rows of an earlier card behind its first way, which all are compared with. Each is as it was
    told there, without its difference to the first way of that table. A way of both is told anew, in the place that it
    had.

    Raises ValueError for a card without such a table, and for one of another number of folds.
    """
    earlier = json.loads(card.read_text("utf-8")).get("training", {}).get("cross_validation")
    if not earlier or earlier.get("folds") != table["folds"]:
        raise ValueError(f"{card} tells of no ways over {table['folds']} folds; name the card.json of a checkpoint")
    told = [{name: value for name, value in row.items() if name != "against_first"} for row in earlier["rows"]]
    rows = {(row["way"], row["form"], row["folds"]): row for row in [*told, *table["rows"]]}
    first = table["rows"][0]["way"]
    return {**table, "rows": sorted(rows.values(), key=lambda row: bool(row["way"] != first))}


def _recipe_of(way: Way) -> Recipe:
    stored = sorted(way.folder.glob("fold-*/recipe.json"))
    if not stored:
        raise ValueError(f"{way.folder} holds no cross-validation; run training.cross_validate --out {way.folder}")
    return Recipe.read(stored[0])


def _row(
    way: Way, outputs: OutOfFold, calibration: Calibration, examples: Sequence[Example]
) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    tested = outputs.examples(examples)
    probabilities, _ = outputs.calibrated(calibration)
    labels = np.array([e.fractured for e in tested])
    values, intervals = order_measures(probabilities, labels, group_weights([e.group for e in tested]))
    row = {
        "way": way.name,
        "form": way.form,
        "n": len(labels),
        "fractured": int(labels.sum()),
        "figures": values,
        "intervals_95": intervals,
    }
    return row, probabilities


def _against(
    base: tuple[OutOfFold, np.ndarray[Any, Any]],
    other: tuple[OutOfFold, np.ndarray[Any, Any]],
    examples: Sequence[Example],
) -> dict[str, Any]:
    """Differences of all measures to the first way, on the same scans in the same order."""
    if set(base[0].image_ids) != set(other[0].image_ids):
        raise ValueError("two ways were tested on different scans; cross-validate them with the same folds and seed")
    place = {image_id: index for index, image_id in enumerate(other[0].image_ids)}
    ours = other[1][[place[image_id] for image_id in base[0].image_ids]]
    tested = base[0].examples(examples)
    return paired_differences(ours, base[1], tested)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.compare", description=__doc__)
    parser.add_argument("ways", nargs="+", metavar="NAME=FOLDER[:FORM]", help="the baseline first")
    parser.add_argument("--data", type=Path, required=True, help="the data set that they were cross-validated on")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write, for training.export --table")
    parser.add_argument("--fold", type=int, default=0, help="the fold on which all ways are compared")
    parser.add_argument("--earlier", type=Path, help="card.json of a checkpoint, whose table's rows are taken over")
    given = parser.parse_args()
    try:
        table = compare([Way.parse(text) for text in given.ways], read_dataset(given.data), given.fold)
        if given.earlier:
            table = with_earlier(table, given.earlier)
    except (DatasetError, ValueError, OSError) as error:
        sys.exit(f"The ways cannot be compared: {error}")
    write_json_whole(given.out, table)
    for row in table["rows"]:
        figures = "  ".join(f"{name} {value:.3f}" for name, value in row["figures"].items())
        sys.stdout.write(f"{row['folds']:20} {row['way']:32} {figures}\n")


if __name__ == "__main__":
    main()
