"""The sizes of original files, and where a picture lies on the square input."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from screening.radiographs.rendition import content_box
from training.data.manifest import Example
from training.data.pictures import load_size


def picture_sizes(examples: Sequence[Example]) -> NDArray[np.int64]:
    """(n, 2): height and width in pixels of each original, as it is looked at: upright, as its boxes and maps are."""
    with ThreadPoolExecutor() as pool:
        return np.array(list(pool.map(_size_of, [example.path for example in examples])), np.int64).reshape(-1, 2)


@cache
def _size_of(path: Path) -> tuple[int, int]:
    return load_size(path)


def content_of(height: int, width: int, side: int) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of the rendition of a picture of this size on the square input of this side."""
    scale = side / max(height, width)
    return content_box(max(1, round(height * scale)), max(1, round(width * scale)), side)
