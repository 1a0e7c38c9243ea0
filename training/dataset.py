"""A labelled data set on disk: reading its manifest, its boxes and its pictures, and making renditions once.

Layout (FracAtlas as kept for this project): `images/`, `manifest.csv`, and optionally `boxes.csv` with fracture boxes
as fractions of width and height. Every complaint names the file and the row.
"""

import csv
import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from screening.radiographs.rendition import RenditionSpec, content_box, fit_input, make_rendition

REQUIRED_COLUMNS = ("image_id", "fractured", "group", "body_part")
KNOWN_COLUMNS = {
    *REQUIRED_COLUMNS,
    *("mixed", "hardware", "multiscan", "fracture_count", "frontal", "lateral", "oblique"),
}
BOX_COLUMNS = ("image_id", "x_min", "y_min", "x_max", "y_max")

CONTRADICTORY = frozenset(f"IMG000{number}.jpg" for number in (2886, 4243, 2998, 4280, 3034, 4314, 4341, 4262, 2952))
"""FracAtlas pictures of five near-identical pairs that carry opposite labels: no label of theirs can be believed."""


class DatasetError(Exception):
    """A data set that cannot be used; the message names the file and row and says what to do."""


@dataclass(frozen=True)
class Example:
    """One labelled radiograph. Boxes are (x_min, y_min, x_max, y_max) as fractions of width and height."""

    image_id: str
    path: Path
    fractured: bool
    group: str
    body_part: str
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    traits: dict[str, str] = field(default_factory=dict)


def read_dataset(folder: Path, leave_out: frozenset[str] = CONTRADICTORY) -> list[Example]:
    """Read manifest and boxes, in manifest order. Raises DatasetError naming the offending row."""
    manifest = folder / "manifest.csv"
    boxes = _read_boxes(folder / "boxes.csv")
    examples: list[Example] = []
    seen: dict[str, int] = {}
    for number, row in _rows(manifest, REQUIRED_COLUMNS, KNOWN_COLUMNS):
        image_id = row["image_id"]
        if image_id in seen:
            raise DatasetError(f"{manifest} row {number}: {image_id} is already in row {seen[image_id]}; remove one")
        seen[image_id] = number
        if row["fractured"] not in ("0", "1"):
            raise DatasetError(f"{manifest} row {number}: fractured is {row['fractured']!r}; write 0 or 1")
        if not row["group"]:
            raise DatasetError(f"{manifest} row {number}: {image_id} has no group; images of one patient share a group")
        path = folder / "images" / image_id
        if not path.is_file():
            raise DatasetError(f"{manifest} row {number}: {path} does not exist; restore the file or remove the row")
        if image_id not in leave_out:
            traits = {key: value for key, value in row.items() if key not in REQUIRED_COLUMNS}
            fractured = row["fractured"] == "1"
            place = tuple(boxes.get(image_id, ())) if fractured else ()
            examples.append(Example(image_id, path, fractured, row["group"], row["body_part"], place, traits))
    labels = {example.fractured for example in examples}
    if len(labels) < 2:
        raise DatasetError(f"{manifest} holds one class only ({len(examples)} rows); both 0 and 1 are needed to train")
    return examples


def _rows(path: Path, required: tuple[str, ...], known: set[str]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        stream = path.open(newline="", encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); name a folder with this file in it") from error
    with stream:
        reader = csv.DictReader(stream)
        columns = list(reader.fieldnames or ())
        missing = [name for name in required if name not in columns]
        unknown = [name for name in columns if name not in known]
        if missing or unknown:
            raise DatasetError(
                f"{path} row 1: "
                + "; ".join(
                    ([f"missing columns {', '.join(missing)}"] if missing else [])
                    + ([f"unknown columns {', '.join(unknown)}"] if unknown else [])
                )
                + f"; known are {', '.join(sorted(known))}"
            )
        for number, row in enumerate(reader, start=2):
            if None in row or None in row.values():
                raise DatasetError(f"{path} row {number}: it does not have {len(columns)} fields; correct the row")
            yield number, row


def _read_boxes(path: Path) -> dict[str, list[tuple[float, float, float, float]]]:
    boxes: dict[str, list[tuple[float, float, float, float]]] = {}
    if not path.exists():
        return boxes
    for number, row in _rows(path, BOX_COLUMNS, set(BOX_COLUMNS)):
        try:
            x_min, y_min, x_max, y_max = (float(row[name]) for name in BOX_COLUMNS[1:])
        except ValueError as error:
            raise DatasetError(f"{path} row {number}: {error}; write fractions between 0 and 1") from error
        if not (0 <= x_min < x_max <= 1 and 0 <= y_min < y_max <= 1):
            raise DatasetError(f"{path} row {number}: a box needs 0 <= min < max <= 1 on both axes; correct the row")
        boxes.setdefault(row["image_id"], []).append((x_min, y_min, x_max, y_max))
    return boxes


def load_grey(path: Path) -> NDArray[np.uint8]:
    """Decode one picture to grey (height, width). Raises DatasetError for a damaged one."""
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("L"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} is damaged ({error}); leave it out of the manifest") from error


def square_renditions(
    examples: list[Example], spec: RenditionSpec, cache: Path, progress: Callable[[str], None] = lambda _: None
) -> NDArray[np.uint8]:
    """Renditions of all examples on black squares, (n, side, side) uint8, made once and kept in the cache folder.

    The cache's name holds the spec and the list of images, so that another spec or list never meets an old cache.
    """
    key = json.dumps([spec.hash, [(e.image_id, e.path.stat().st_size) for e in examples]])
    target = cache / f"renditions-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
    if not target.exists():
        progress(f"making {len(examples)} renditions of {spec.side} px")
        cache.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor() as pool:
            squares = pool.map(lambda e: fit_input(make_rendition(load_grey(e.path), spec), spec.side), examples)
            stack = np.stack(list(squares))
        partial = target.with_suffix(".partial")
        with partial.open("wb") as stream:
            np.save(stream, stack)
        partial.replace(target)
    loaded: NDArray[np.uint8] = np.load(target, mmap_mode="r")
    return loaded


def box_masks(examples: list[Example], side: int, stride: int) -> NDArray[np.uint8]:
    """Where the fracture boxes lie on the square input: (n, side / stride, side / stride), 255 inside a box.

    Every box covers at least one cell. The content box follows from the picture's aspect as in `fit_input`.
    """
    cells = side // stride
    masks = np.zeros((len(examples), cells, cells), np.uint8)
    for index, example in enumerate(examples):
        if not example.boxes:
            continue
        with Image.open(example.path) as picture:
            width, height = picture.size
        scale = side / max(width, height)
        top, left, bottom, right = content_box(max(1, round(height * scale)), max(1, round(width * scale)), side)
        for x_min, y_min, x_max, y_max in example.boxes:
            x0, x1 = ((left + x * (right - left)) / stride for x in (x_min, x_max))
            y0, y1 = ((top + y * (bottom - top)) / stride for y in (y_min, y_max))
            masks[index, int(y0) : max(int(y0) + 1, round(y1)), int(x0) : max(int(x0) + 1, round(x1))] = 255
    return masks
