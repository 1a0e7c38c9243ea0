"""The rendition: the one small grey picture that training and screening share.

Aspect is kept, the longest side has `side` pixels, and grey values are stretched between two percentiles, so that
size, bit depth, compression and colour mode of the original never reach the network as a hint.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from screening.radiographs.rendition_spec import RenditionSpec

__all__ = ["Grey", "RenditionSpec", "content_box", "fit_input", "make_rendition"]

Grey = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]


def make_rendition(grey: Grey, spec: RenditionSpec) -> NDArray[np.uint8]:
    """Reduce a grey picture to its rendition.

    grey: (height, width), brighter is denser (bone is bright); 8-bit, 16-bit or float.
    Returns (h, w) uint8 with max(h, w) == spec.side. A picture without contrast comes back as zeros.
    """
    height, width = grey.shape
    scale = spec.side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(grey if grey.dtype == np.uint8 else grey.astype(np.float32))
    small = np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0), dtype=np.float32)
    low, high = np.percentile(small, (spec.low_percentile, spec.high_percentile))
    if high <= low:
        return np.zeros(small.shape, np.uint8)
    stretched = (small - low) * (255.0 / (high - low))
    rendition: NDArray[np.uint8] = np.clip(np.rint(stretched), 0, 255).astype(np.uint8)
    return rendition


def content_box(height: int, width: int, side: int) -> tuple[int, int, int, int]:
    """Where a rendition of this size lies inside the square input: (top, left, bottom, right) in pixels."""
    top, left = (side - height) // 2, (side - width) // 2
    return top, left, top + height, left + width


def fit_input(rendition: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Centre a rendition on a black square: (h, w) -> (side, side), what one item of a batch looks like."""
    height, width = rendition.shape
    top, left, bottom, right = content_box(height, width, side)
    if top < 0 or left < 0:
        raise ValueError(f"a rendition of {width}x{height} does not fit an input of {side}x{side}")
    square = np.zeros((side, side), np.uint8)
    square[top:bottom, left:right] = rendition
    return square
