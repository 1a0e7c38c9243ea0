"""Colour pictures of 16 bits: Pillow keeps the upper byte of each colour alone, so they are decoded for each byte."""

import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile

from screening.radiographs.problems import Unscreenable

_LITTLE, _BIG = ";16L", ";16B"
_OTHER_BYTE = {_LITTLE: _BIG, _BIG: _LITTLE, ";16N": _BIG if sys.byteorder == "little" else _LITTLE}
"""Pillow's name of how 16 bits lie in a file, and that under which it takes the other byte for the upper one."""
_STRIP_PIXELS = 1 << 17


def deep_grey(open_file: Callable[[], ImageFile.ImageFile]) -> NDArray[np.float32]:
    """Grey values 0 to 65,535 of a picture of 16 bits a colour, (height, width). What is transparent counts as black.

    Raises Unscreenable for forms in which Pillow mixes up the bytes, and what `load` raises.
    """
    upper, lower = open_file(), open_file()
    if upper.mode not in ("RGB", "RGBA", "RGBa") or not upper.tile:
        raise _unsupported()
    lower.tile = [_for_the_lower_byte(tile) for tile in lower.tile]
    upper.load()
    lower.load()
    grey = np.empty((upper.height, upper.width), np.float32)
    step = max(1, _STRIP_PIXELS // upper.width)
    for top in range(0, upper.height, step):
        box = (0, top, upper.width, min(top + step, upper.height))
        high, low = (np.asarray(image.crop(box), np.float32) for image in (upper, lower))
        grey[box[1] : box[3]] = luminance(256 * high + low, has_alpha=upper.mode == "RGBA")
    return grey


def luminance(colours: NDArray[np.float32], has_alpha: bool) -> NDArray[np.float32]:
    """(rows, columns, 3 or 4) of 16 bits -> grey, by the weights of ITU-R BT.601, as for colours of 8 bits."""
    grey: NDArray[np.float32] = colours[..., :3] @ np.array((0.299, 0.587, 0.114), np.float32)
    return grey * (colours[..., 3] / np.float32(65535)) if has_alpha else grey


def _for_the_lower_byte(tile: ImageFile._Tile) -> ImageFile._Tile:
    form, *rest = tile.args if isinstance(tile.args, tuple) else (tile.args,)
    other = _OTHER_BYTE.get(str(form)[-4:])
    if other is None:
        raise _unsupported()
    form = str(form)[:-4] + other
    return tile._replace(args=(form, *rest) if isinstance(tile.args, tuple) else form)


def _unsupported() -> Unscreenable:
    return Unscreenable(
        "unsupported", "This picture holds 16 bits of each colour in a form that is not read. Export it as 16-bit grey."
    )
