"""Pictures that end the workers of tests.chaos.poisoned_app, and no others."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

ORIGINAL_MARK = b"this original ends its worker"
SIDE = 96


def black_and_white_png() -> bytes:
    """Its rendition ends the screen worker."""
    out = io.BytesIO()
    picture = Image.new("L", (SIDE, SIDE), 0)
    picture.paste(255, (SIDE // 2, 0, SIDE, SIDE))
    picture.save(out, "PNG")
    return out.getvalue()


def is_black_and_white(rendition: NDArray[np.uint8]) -> bool:
    """No picture with any noise in it is."""
    return bool(((rendition < 5) | (rendition > 250)).mean() > 0.9)


def marked_png() -> bytes:
    """The file itself ends the prepare worker."""
    out, remark = io.BytesIO(), PngImagePlugin.PngInfo()
    remark.add_text("remark", ORIGINAL_MARK.decode())
    Image.new("L", (SIDE, SIDE), 90).save(out, "PNG", pnginfo=remark)
    return out.getvalue()
