"""A rendition as a stored file: PNG, 8-bit grey, quick to write and to read."""

import zlib
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def encode_rendition(rendition: NDArray[np.uint8]) -> bytes:
    """(h, w) uint8 -> PNG bytes, without loss. Run-length matching is smaller here than full matching, and quicker."""
    out = BytesIO()
    Image.fromarray(rendition).save(out, "PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return out.getvalue()


def load_rendition(png: bytes) -> NDArray[np.uint8]:
    """PNG bytes that this system wrote -> (h, w) uint8. For trusted bytes only; may run in many threads at once."""
    with Image.open(BytesIO(png), formats=["PNG"]) as image:
        if image.mode != "L":
            raise ValueError(f"a stored rendition is 8-bit grey, not {image.mode}; make it again from the original")
        return np.asarray(image)
