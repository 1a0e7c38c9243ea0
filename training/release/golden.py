"""Golden tensors: what an engine must reproduce before it serves, on pictures that show no patient."""

import numpy as np
from numpy.typing import NDArray

from screening.radiographs.rendition import RenditionSpec, fit_input, make_rendition
from training.data.phantoms import make_phantom

GOLDEN_COUNT = 8


def golden_renditions(spec: RenditionSpec) -> NDArray[np.uint8]:
    """(8, side, side) renditions of generated phantoms, upright and wide, half of them fractured."""
    squares = []
    for seed in range(GOLDEN_COUNT):
        height, width = (454, 373) if seed % 2 else (373, 454)
        phantom = make_phantom(seed, fractured=seed % 4 < 2, height=height, width=width)
        squares.append(fit_input(make_rendition(phantom.picture, spec), spec.side))
    return np.stack(squares)
