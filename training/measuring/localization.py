"""Localization: whether class activation maps point at fracture boxes, and how far they overlap with them.

Geometry. In ResNet-18 every stage that halves the picture has stride 2 and a padding of (kernel - 1) / 2, so that its
output i is centred on its input 2i. Five such stages centre cell i of the map on pixel 32i of the square input, and
what lies nearest to that cell is the pixels 32i - 16 to 32i + 15. `screening/inference/maps.py` draws overlays with
the same alignment. Below, positions are edges between pixels: the centre of pixel p is at p + 0.5.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from screening.inference.maps import CELL
from training.data.manifest import Example
from training.measuring.bootstrap import interval_95
from training.measuring.sizes import content_of

Edges = tuple[float, float, float, float]
"""(top, left, bottom, right) on the square input, in pixels"""


class Located(NamedTuple):
    """What one map says of one picture."""

    peak_in_box: bool
    peak_near_box: bool
    """within half a cell of a box on each axis: the cell of the peak meets the box"""
    chance_in_box: float
    """share of the picture that is box: how often a random point would fall in one"""
    chance_near_box: float
    overlap: float
    energy_in_box: float


def measure_localization(
    maps: NDArray[np.float32],
    examples: Sequence[Example],
    side: int,
    sizes: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> dict[str, Any]:
    """Shares and means over the fractured pictures that have boxes, with intervals over groups.

    maps: (n, h, w) in logits; side: of the square input; sizes: (n, 2) of the originals; weights: (draws, n) of
    `group_weights`. Raises ValueError for maps that are not of stride 32.
    """
    cells = -(-side // CELL)
    if maps.shape[1:] != (cells, cells):
        raise ValueError(
            f"maps {maps.shape[1:]} of a {side} px input are not {cells}x{cells}; export them at stride 32"
        )
    boxed = [index for index, example in enumerate(examples) if example.boxes]
    if not boxed:
        return {"fractured_with_boxes": 0}
    contents = [content_of(int(height), int(width), side) for height, width in sizes[boxed]]
    located = [locate(maps[i], content, examples[i].boxes, side) for i, content in zip(boxed, contents, strict=True)]
    found = np.array(located, np.float64)
    drawn = weights[:, boxed]
    with np.errstate(invalid="ignore"):
        means = (drawn @ found) / drawn.sum(1, keepdims=True)

    def row(column: str, chance: str | None = None) -> dict[str, Any]:
        at = Located._fields.index(column)
        value = {"share": float(found[:, at].mean()), "interval_95": interval_95(means[:, at])}
        return value if chance is None else value | {"chance": float(found[:, Located._fields.index(chance)].mean())}

    return {
        "fractured_with_boxes": len(boxed),
        "peak_in_box": row("peak_in_box", "chance_in_box"),
        "peak_near_box": row("peak_near_box", "chance_near_box"),
        "overlap": row("overlap"),
        "energy_in_box": row("energy_in_box", "chance_in_box"),
    }


def locate(
    cells: NDArray[np.float32],
    content: tuple[int, int, int, int],
    boxes: Sequence[tuple[float, float, float, float]],
    side: int,
) -> Located:
    """Score one map (h, w). content: where the picture lies on the square; boxes: fractions of the picture.

    The overlap is the intersection over union of the boxes with the part of the picture where the enlarged map
    reaches half of its maximum within the picture; the energy is the map's positive part. Both are 0 for a map that
    is nowhere positive within the picture.
    """
    top, left, bottom, right = content
    placed = [
        (
            top + y0 * (bottom - top),
            left + x0 * (right - left),
            top + y1 * (bottom - top),
            left + x1 * (right - left),
        )
        for x0, y0, x1, y1 in boxes
    ]
    half = CELL / 2
    widened = [(y0 - half, x0 - half, y1 + half, x1 + half) for y0, x0, y1, x1 in placed]
    y, x = peak(cells, content)
    inside = (slice(top, bottom), slice(left, right))
    box_cover = covered(placed, side)[inside]
    near_cover = covered(widened, side)[inside]
    shown = np.maximum(enlarge(cells, side)[inside], 0)
    highest = float(shown.max())
    marked = (shown >= highest / 2) & (highest > 0)
    return Located(
        peak_in_box=_within(y, x, placed),
        peak_near_box=_within(y, x, widened),
        chance_in_box=float(box_cover.mean()),
        chance_near_box=float(near_cover.mean()),
        overlap=float(np.minimum(marked, box_cover).sum() / np.maximum(marked, box_cover).sum()),
        energy_in_box=float((shown * box_cover).sum() / shown.sum()) if highest > 0 else 0.0,
    )


def peak(cells: NDArray[np.float32], content: tuple[int, int, int, int]) -> tuple[float, float]:
    """(y, x) of the highest cell that meets the picture, moved into the picture where its centre lies beside it."""
    top, left, bottom, right = content
    centres = np.arange(cells.shape[0]) * CELL + 0.5
    rows = (centres > top - CELL / 2) & (centres < bottom + CELL / 2)
    columns = (centres > left - CELL / 2) & (centres < right + CELL / 2)
    seen = np.where(rows[:, None] & columns[None], cells, -np.inf)
    row, column = np.unravel_index(int(seen.argmax()), seen.shape)
    y = min(max(centres[row], top + 0.5), bottom - 0.5)
    x = min(max(centres[column], left + 0.5), right - 0.5)
    return float(y), float(x)


def enlarge(cells: NDArray[np.float32], side: int) -> NDArray[np.float64]:
    """Bilinear interpolation onto the square input (side, side); beyond the outermost cell centres, their values."""
    at = np.minimum(np.arange(side) / CELL, cells.shape[0] - 1)
    low = np.minimum(at.astype(np.int64), max(0, cells.shape[0] - 2))
    high = np.minimum(low + 1, cells.shape[0] - 1)
    spread = np.zeros((side, cells.shape[0]))
    spread[np.arange(side), low] += 1 - (at - low)
    spread[np.arange(side), high] += at - low
    enlarged: NDArray[np.float64] = spread @ cells @ spread.T
    return enlarged


def covered(boxes: Sequence[Edges], side: int) -> NDArray[np.float64]:
    """(side, side): the share of each pixel that the fullest of these boxes covers."""
    pixels = np.arange(side)
    total = np.zeros((side, side))
    for y0, x0, y1, x1 in boxes:
        down = np.clip(np.minimum(pixels + 1, y1) - np.maximum(pixels, y0), 0, 1)
        across = np.clip(np.minimum(pixels + 1, x1) - np.maximum(pixels, x0), 0, 1)
        total = np.maximum(total, np.outer(down, across))
    return total


def _within(y: float, x: float, boxes: Sequence[Edges]) -> bool:
    return any(y0 <= y <= y1 and x0 <= x <= x1 for y0, x0, y1, x1 in boxes)
