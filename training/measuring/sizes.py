"""The sizes of original files, read from their headers, and where a picture lies on the square input."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from screening.radiographs.rendition import content_box
from training.data.manifest import Example


def picture_sizes(examples: Sequence[Example]) -> NDArray[np.int64]:
    """(n, 2): height and width in pixels of each original."""
    sizes = np.empty((len(examples), 2), np.int64)
    for index, example in enumerate(examples):
        with Image.open(example.path) as picture:
            sizes[index] = picture.height, picture.width
    return sizes


def content_of(height: int, width: int, side: int) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of the rendition of a picture of this size on the square input of this side."""
    scale = side / max(height, width)
    return content_box(max(1, round(height * scale)), max(1, round(width * scale)), side)
