"""FracAtlas as downloaded: `dataset.csv`, `images/Fractured/`, `images/Non_fractured/`, `Annotations/PASCAL VOC/`.

Abedeen et al., Scientific Data 2023, doi:10.6084/m9.figshare.22363012. Of the forms in which the boxes come, PASCAL VOC
is read: it has one file for each picture and states the size that its pixels refer to, so that neither a reduced copy
of a picture nor one that EXIF turns can displace a box.
"""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

from training.data.example import Box, DatasetError, Example
from training.data.tables import check_traits, read_rows

BODY_PARTS = ("hand", "leg", "hip", "shoulder")
COLUMNS = (
    *("image_id", *BODY_PARTS, "mixed", "hardware", "multiscan", "fractured"),
    *("fracture_count", "frontal", "lateral", "oblique"),
)
_FOLDERS = {True: "Fractured", False: "Non_fractured"}


def read_original(folder: Path, progress: Callable[[str], None]) -> list[Example]:
    """Read the download, in the order of `dataset.csv`. The examples have no group yet.

    The folder that a picture lies in is its label. `dataset.csv` contradicts it for IMG0003298, which lies with the
    fractured and has one fracture, but is 0 in the column. Raises DatasetError that names the file and the row.
    """
    table = folder / "dataset.csv"
    examples: dict[str, Example] = {}
    corrected: list[str] = []
    for number, row in read_rows(table, COLUMNS):
        where, image_id = f"{table} row {number}", row["image_id"]
        if image_id in examples:
            raise DatasetError(f"{where}: {image_id} is already in {examples[image_id].source}; remove one")
        for name in ("fractured", "mixed", *BODY_PARTS):
            if row[name] not in ("0", "1"):
                raise DatasetError(f"{where}: {name} is {row[name]!r}; write 0 or 1")
        path, fractured = _find(folder / "images", image_id, where)
        if fractured != (row["fractured"] == "1"):
            corrected.append(image_id)
        # A picture of several parts counts as the first of them and carries the trait `mixed`.
        body_part = next((part for part in BODY_PARTS if row[part] == "1"), "mixed")
        traits = {key: value for key, value in row.items() if key not in ("image_id", "fractured", *BODY_PARTS)}
        check_traits(where, traits)
        boxes = _read_boxes(folder / "Annotations" / "PASCAL VOC" / f"{path.stem}.xml") if fractured else ()
        examples[image_id] = Example(image_id, path, fractured, "", body_part, boxes, traits, where)
    if corrected:
        progress(f"labelled by their folder and not by dataset.csv: {', '.join(corrected)}")
    fractured_ones = [example for example in examples.values() if example.fractured]
    boxed = sum(bool(example.boxes) for example in fractured_ones)
    progress(f"fracture boxes for {boxed} of {len(fractured_ones)} fractured pictures")
    return list(examples.values())


def _find(images: Path, image_id: str, where: str) -> tuple[Path, bool]:
    """The picture and its label. One that lies in both folders counts as fractured."""
    for fractured, name in _FOLDERS.items():
        path = images / name / image_id
        if path.is_dir():
            raise DatasetError(f"{where}: {path} is a folder and not a picture; correct image_id or remove the row")
        if path.is_file():
            return path, fractured
    wanted = " nor in ".join(str(images / name) for name in _FOLDERS.values())
    raise DatasetError(f"{where}: {image_id} is neither in {wanted}; restore the file or remove the row")


def _read_boxes(path: Path) -> tuple[Box, ...]:
    if not path.exists():
        return ()
    data = path.read_bytes()
    if b"<!DOCTYPE" in data:
        raise DatasetError(f"{path} declares entities, which annotations never need; restore the file")
    try:
        root = ElementTree.fromstring(data)  # noqa: S314  no entities can be declared: see above
        width, height = (_number(root, f"size/{name}") for name in ("width", "height"))
        corners = [
            [_number(found, f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")]
            for found in root.iter("object")
        ]
        # The pixels were rounded, so that a box at the rim may reach over it by one.
        return tuple(_checked(x0 / width, y0 / height, x1 / width, y1 / height) for x0, y0, x1, y1 in corners)
    except (ElementTree.ParseError, ValueError, ZeroDivisionError) as error:
        raise DatasetError(f"{path} holds no readable boxes ({error}); restore or remove the file") from error


def _number(element: ElementTree.Element, name: str) -> float:
    text = element.findtext(name)
    if text is None:
        raise ValueError(f"{name} is missing")
    return float(text)


def _checked(*edges: float) -> Box:
    x_min, y_min, x_max, y_max = (min(1.0, max(0.0, edge)) for edge in edges)
    if not (x_min < x_max and y_min < y_max):
        raise ValueError("a box without extent")
    return x_min, y_min, x_max, y_max
