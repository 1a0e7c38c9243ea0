"""The pictures of a data set: decoded as serving does, renditions made once, and the fracture boxes laid over them."""

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from screening.radiographs.decode import decode
from screening.radiographs.greys import WORKING_SIDE, Radiograph, working_side
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.problems import Unscreenable
from screening.radiographs.rendition import Grey, RenditionSpec, content_box, fit_input, make_rendition
from training.data.example import DatasetError, Example

_SMALL = 64
"""Pixels of the longest side, for what asks for nothing but facts: a JPEG is read several times as fast."""
_NAMED = 10
"""So many damaged pictures are named in a complaint; the others are counted."""


def load_grey(path: Path, at_least: int = WORKING_SIDE) -> Grey:
    """Decode one picture to grey (height, width), bone bright, exactly as a worker does.

    EXIF orientation is applied, and a picture is reduced by a whole factor while its longest side stays at least
    `at_least` pixels. Raises DatasetError for a file that a worker would refuse, a truncated one above all.
    """
    return _decoded(path, at_least).grey


def load_size(path: Path) -> tuple[int, int]:
    """(height, width) in pixels of a picture as it is looked at. Raises DatasetError as `load_grey` does."""
    facts = _decoded(path, _SMALL).facts
    return facts.rows, facts.columns


def _decoded(path: Path, at_least: int) -> Radiograph:
    try:
        return decode(path.read_bytes(), DecodeLimits(), at_least)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); restore the file or remove its row") from error
    except Unscreenable as error:
        raise DatasetError(f"{path} is damaged or no radiograph ({error}); replace it or remove its row") from error


def decodable_squares(
    examples: Sequence[Example], spec: RenditionSpec
) -> tuple[NDArray[np.uint8], dict[int, DatasetError]]:
    """Renditions of all examples on black squares, (n, side, side) uint8, and the complaint for each damaged one.

    The complaints are by index and name row and file; the square of a damaged picture is black.
    """

    def square(example: Example) -> NDArray[np.uint8] | DatasetError:
        try:
            grey = load_grey(example.path, working_side(spec.side))
        except DatasetError as error:
            return DatasetError(f"{example.source}: {error}" if example.source else str(error))
        return fit_input(make_rendition(grey, spec), spec.side)

    squares = np.zeros((len(examples), spec.side, spec.side), np.uint8)
    damaged: dict[int, DatasetError] = {}
    with ThreadPoolExecutor() as pool:
        for index, made in enumerate(pool.map(square, examples)):
            if isinstance(made, DatasetError):
                damaged[index] = made
            else:
                squares[index] = made
    return squares, damaged


def square_renditions(
    examples: list[Example], spec: RenditionSpec, cache: Path, progress: Callable[[str], None] = lambda _: None
) -> NDArray[np.uint8]:
    """Renditions of all examples on black squares, (n, side, side) uint8, made once and kept in the cache folder.

    The cache's name holds the spec and the list of images, so that another spec or list never meets an old cache.
    Raises DatasetError where pictures are damaged: it names the rows and files of the first ten and counts the others.
    """
    key = json.dumps([_DECODING, spec.hash, [(e.image_id, e.path.stat().st_size) for e in examples]])
    target = cache / f"renditions-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
    if not target.exists():
        progress(f"making {len(examples)} renditions of {spec.side} px")
        cache.mkdir(parents=True, exist_ok=True)
        squares, damaged = decodable_squares(examples, spec)
        if damaged:
            raise _all_of_them(list(damaged.values()))
        partial = target.with_suffix(".partial")
        with partial.open("wb") as stream:
            np.save(stream, squares)
        partial.replace(target)
    loaded: NDArray[np.uint8] = np.load(target, mmap_mode="r")
    return loaded


def _all_of_them(complaints: list[DatasetError]) -> DatasetError:
    more = [f"... and {len(complaints) - _NAMED} more"] if len(complaints) > _NAMED else []
    return DatasetError("\n".join([*(str(complaint) for complaint in complaints[:_NAMED]), *more]))


_DECODING = "upright"
"""Part of a cache's name: another word here when decoding gives other pixels, so that no older cache is met."""


def box_masks(examples: list[Example], side: int, stride: int) -> NDArray[np.uint8]:
    """Where the fracture boxes lie on the square input: (n, side / stride, side / stride), 255 inside a box.

    Every box covers at least one cell. The content box follows from the picture's aspect as in `fit_input`.
    """
    cells = side // stride
    masks = np.zeros((len(examples), cells, cells), np.uint8)
    for index, example in enumerate(examples):
        if not example.boxes:
            continue
        height, width = load_grey(example.path, working_side(side)).shape
        scale = side / max(width, height)
        top, left, bottom, right = content_box(max(1, round(height * scale)), max(1, round(width * scale)), side)
        for x_min, y_min, x_max, y_max in example.boxes:
            x0, x1 = ((left + x * (right - left)) / stride for x in (x_min, x_max))
            y0, y1 = ((top + y * (bottom - top)) / stride for y in (y_min, y_max))
            masks[index, int(y0) : max(int(y0) + 1, round(y1)), int(x0) : max(int(x0) + 1, round(x1))] = 255
    return masks
