"""How a picture lies: the EXIF orientation, which says how to turn it before it is looked at."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from screening.radiographs.rendition import Grey

_ORIENTATION = 0x0112
_UPRIGHT = 1
_TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda grey: np.rot90(grey, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda grey: np.rot90(grey, -1),
    7: lambda grey: np.rot90(grey, 2).T,
    8: np.rot90,
}


def orientation_in(read: Callable[[], Image.Exif]) -> int:
    """The EXIF orientation, 1 where there is none; damaged EXIF data are no reason to refuse a picture."""
    try:
        found = int(read().get(_ORIENTATION, _UPRIGHT))
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, OverflowError, ZeroDivisionError):
        return _UPRIGHT
    return found if found in _TURNS else _UPRIGHT


def lies_on_its_side(orientation: int) -> bool:
    """True where turning it exchanges rows and columns."""
    return orientation >= 5


def turned(grey: Grey, orientation: int) -> Grey:
    """The picture as it is to be looked at."""
    return np.ascontiguousarray(_TURNS[orientation](grey)) if orientation in _TURNS else grey
