"""Class activation maps as stored and as shown. Needs Pillow alone, because the web process shows them.

Stored: a header (little-endian: version u8; h, w u16; content box top, left, bottom, right u16; low, high f32),
then h x w bytes, row by row, where 0 stands for `low` and 255 for `high`.
"""

import io
import math
import struct
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Box = tuple[int, int, int, int]

VERSION = 1
HEADER = struct.Struct("<B6H2f")
CELL = 32
"""Pixels of the network's input from one cell of the map to the next (ResNet-18 halves five times)."""
FAINT_PEAK = 4.0
"""Peaks under this many logit units are drawn paler, so that a map with nothing to show stays nearly clear."""
CLEAR_BELOW = 0.2
"""Share of full strength under which the overlay is fully transparent."""
STRONGEST_ALPHA = 200
WEAK_COLOUR, STRONG_COLOUR = (255, 193, 7), (216, 0, 140)
"""Amber to magenta: lightness falls steadily, and neither end is lost to red-green colour blindness."""


@dataclass(frozen=True)
class ActivationMap:
    """A stored map, read back."""

    height: int
    width: int
    box: Box
    """Where the rendition lies inside the square input: (top, left, bottom, right) in pixels."""
    values: "array[float]"
    """height x width values in logit units, row by row, to within 1/510 of the map's range."""


def pack_map(values: "NDArray[np.float32]", box: Box) -> bytes:
    """Store a map (h, w) in h * w + 21 bytes. box: the rendition's `content_box`. Raises ValueError if not finite."""
    height, width = values.shape
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("a map with values that are not finite cannot be stored; screen the scan again")
    step = (high - low) / 255 or 1.0
    levels = ((values - low) / step).round().clip(0, 255).astype("uint8").tobytes()
    return HEADER.pack(VERSION, height, width, *box, low, high) + levels


def unpack_map(packed: bytes) -> ActivationMap:
    """Read what `pack_map` stored. Raises ValueError for anything else."""
    if len(packed) < HEADER.size or packed[0] != VERSION:
        raise ValueError("this is not a stored map of a version known here; install a newer release or screen again")
    _, height, width, top, left, bottom, right, low, high = HEADER.unpack_from(packed)
    levels = packed[HEADER.size :]
    if len(levels) != height * width or not levels:
        raise ValueError(f"a stored map of {height}x{width} has {len(levels)} cells; screen the scan again")
    values = array("f", (low + (high - low) * level / 255 for level in levels))
    return ActivationMap(height, width, (top, left, bottom, right), values)


def heatmap_png(packed: bytes, width: int, height: int) -> bytes:
    """Draw a stored map as a PNG overlay of width x height pixels for a picture that shows the whole rendition.

    Transparent where the map speaks for no fracture or little, then amber to magenta. Raises ValueError for bytes
    that are not a stored map.
    """
    stored = unpack_map(packed)
    strengths = Image.frombytes("F", (stored.width + 2, stored.height + 2), _strengths(stored).tobytes())
    top, left, bottom, right = (_cell_position(edge) + 1 for edge in stored.box)
    enlarged = strengths.resize((width, height), Image.Resampling.BICUBIC, box=(left, top, right, bottom))
    overlay = enlarged.convert("L")
    overlay.putpalette(_palette(), "RGBA")
    stream = io.BytesIO()
    overlay.save(stream, "PNG")
    return stream.getvalue()


def _cell_position(pixel_edge: float) -> float:
    """Where an edge between input pixels lies on the map, in cells.

    Padded convolutions of stride 2 centre their output i on input 2i, so cell i looks at pixel 32i, not at the middle
    of the 32 pixels that plain enlarging would give it; that error would be half a cell.
    """
    return (pixel_edge - 0.5) / CELL + 0.5


def _strengths(stored: ActivationMap) -> "array[float]":
    """The map on a scale of 0 to 255 with its outermost cells repeated once on every side."""
    factor = 255 / max(FAINT_PEAK, *stored.values)
    strengths = array("f")
    for row in range(-1, stored.height + 1):
        start = min(max(row, 0), stored.height - 1) * stored.width
        cells = [max(0.0, value * factor) for value in stored.values[start : start + stored.width]]
        strengths.extend([cells[0], *cells, cells[-1]])
    return strengths


def _palette() -> bytes:
    """256 RGBA entries, one per strength."""
    entries = bytearray()
    for level in range(256):
        share = max(0.0, (level / 255 - CLEAR_BELOW) / (1 - CLEAR_BELOW))
        colour = (round(a + (b - a) * share) for a, b in zip(WEAK_COLOUR, STRONG_COLOUR, strict=True))
        entries += bytes((*colour, round(STRONGEST_ALPHA * share)))
    return bytes(entries)
