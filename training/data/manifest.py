"""A labelled data set on disk: which of its layouts a folder has, and reading the one with a manifest.

Layout: `manifest.csv`, the pictures in `images/`, and optionally `boxes.csv` with the fracture boxes.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from training.data.example import Box, DatasetError, Example
from training.data.grouping import grouped
from training.data.original import read_original
from training.data.tables import check_traits, read_rows

__all__ = ["CONTRADICTORY", "DatasetError", "Example", "read_dataset"]

REQUIRED_COLUMNS = ("image_id", "fractured", "body_part")
OPTIONAL_COLUMNS = (
    *("group", "mixed", "hardware", "multiscan", "fracture_count"),
    *("frontal", "lateral", "oblique"),
)
BOX_COLUMNS = ("image_id", "x_min", "y_min", "x_max", "y_max")

CONTRADICTORY = frozenset(f"IMG000{number}.jpg" for number in (2886, 4243, 2998, 4280, 3034, 4314, 4341, 4262, 2952))
"""FracAtlas pictures of five near-identical pairs that carry opposite labels: no label of theirs can be believed."""


def read_dataset(
    folder: Path, leave_out: frozenset[str] = CONTRADICTORY, progress: Callable[[str], None] = lambda _: None
) -> list[Example]:
    """Read a data set, in the order of its table: one with `manifest.csv`, or FracAtlas as downloaded.

    What a person should know is said to `progress`: the layout, and what was left out and why. Where there are no
    groups they are found, which looks at every picture. Raises DatasetError that names the file and the row.
    """
    if (folder / "manifest.csv").exists():
        progress(f"reading {folder / 'manifest.csv'}")
        table, examples = folder / "manifest.csv", _read_manifest(folder)
        if not all(example.group for example in examples):
            progress(
                f"{table} has no column group: only near copies are kept together, not the pictures of one patient"
            )
            examples = grouped(examples, progress, numbered_by_patient=False)
    elif (folder / "dataset.csv").exists():
        progress(f"reading {folder / 'dataset.csv'}: FracAtlas as downloaded")
        table, examples = folder / "dataset.csv", read_original(folder, progress)
        examples = grouped(examples, progress, numbered_by_patient=True)
    else:
        raise DatasetError(f"{folder} holds neither manifest.csv nor dataset.csv; name the folder that holds one")
    # Only now, because a picture that is left out may join two others into one group.
    examples = [example for example in examples if example.image_id not in leave_out]
    if len({example.fractured for example in examples}) < 2:
        raise DatasetError(f"{table} holds one class only ({len(examples)} rows); both 0 and 1 are needed to train")
    return examples


def _read_manifest(folder: Path) -> list[Example]:
    manifest = folder / "manifest.csv"
    examples: dict[str, Example] = {}
    for number, row in read_rows(manifest, REQUIRED_COLUMNS, OPTIONAL_COLUMNS):
        where, image_id = f"{manifest} row {number}", row["image_id"]
        path = folder / "images" / image_id
        if image_id in examples:
            raise DatasetError(f"{where}: {image_id} is already in {examples[image_id].source}; remove one")
        if row["fractured"] not in ("0", "1"):
            raise DatasetError(f"{where}: fractured is {row['fractured']!r}; write 0 or 1")
        if not row["body_part"]:
            raise DatasetError(f"{where}: {image_id} has no body_part; name it")
        if "group" in row and not row["group"]:
            raise DatasetError(f"{where}: {image_id} has no group; images of one patient share a group")
        if path.is_dir():
            raise DatasetError(f"{where}: {path} is a folder and not a picture; correct image_id or remove the row")
        if not path.is_file():
            raise DatasetError(f"{where}: {path} does not exist; restore the file or remove the row")
        traits = {key: value for key, value in row.items() if key not in ("group", *REQUIRED_COLUMNS)}
        check_traits(where, traits)
        fractured, group = row["fractured"] == "1", row.get("group", "")
        examples[image_id] = Example(image_id, path, fractured, group, row["body_part"], (), traits, where)
    boxes = _read_boxes(folder / "boxes.csv", examples)
    return [replace(example, boxes=tuple(boxes.get(image_id, ()))) for image_id, example in examples.items()]


def _read_boxes(path: Path, examples: dict[str, Example]) -> dict[str, list[Box]]:
    boxes: dict[str, list[Box]] = {}
    rows: Iterable[tuple[int, dict[str, str]]] = read_rows(path, BOX_COLUMNS) if path.exists() else ()
    for number, row in rows:
        where, image_id = f"{path} row {number}", row["image_id"]
        if image_id not in examples:
            raise DatasetError(f"{where}: {image_id} is not in the manifest; remove the box or add the picture")
        try:
            x_min, y_min, x_max, y_max = (float(row[name]) for name in BOX_COLUMNS[1:])
        except ValueError as error:
            raise DatasetError(f"{where}: {error}; write fractions between 0 and 1") from error
        if not (0 <= x_min < x_max <= 1 and 0 <= y_min < y_max <= 1):
            raise DatasetError(f"{where}: a box needs 0 <= min < max <= 1 on both axes; correct the row")
        if not examples[image_id].fractured:
            raise DatasetError(f"{where}: {image_id} has a box and is not fractured; remove the box or mend the label")
        boxes.setdefault(image_id, []).append((x_min, y_min, x_max, y_max))
    return boxes
