"""What was missed and what was flagged in vain: described in words and numbers, never with the pictures themselves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.manifest import Example

MOST_MISSES = 12
VIEWS = ("frontal", "lateral", "oblique")


def worst_misses(
    probabilities: NDArray[np.float64], labels: NDArray[np.bool_], flagged: NDArray[np.bool_]
) -> list[int]:
    """Fractured scans that were not flagged, the least probable first."""
    missed = np.flatnonzero(labels & ~flagged)
    return [int(i) for i in missed[np.argsort(probabilities[missed], kind="stable")]]


def worst_alarms(
    probabilities: NDArray[np.float64], labels: NDArray[np.bool_], flagged: NDArray[np.bool_]
) -> list[int]:
    """Flagged scans that are not fractured, the most probable first."""
    alarms = np.flatnonzero(~labels & flagged)
    return [int(i) for i in alarms[np.argsort(-probabilities[alarms], kind="stable")]]


def described(
    index: int, example: Example, probabilities: NDArray[np.float64], labels: NDArray[np.bool_]
) -> dict[str, Any]:
    """One scan for a table. ranked_under: the share of the scans that are not fractured with a higher probability."""
    return {
        "body_part": example.body_part,
        "views": " and ".join(view for view in VIEWS if example.traits.get(view) == "1") or None,
        "hardware": example.traits.get("hardware") == "1",
        "fracture_count": int(example.traits.get("fracture_count") or 0) or None,
        "box_share": round(max(_areas(example)), 5) if example.boxes else None,
        "probability": float(probabilities[index]),
        "ranked_under": float((probabilities[~labels] > probabilities[index]).mean()),
    }


def fracture_marks(
    probabilities: NDArray[np.float64], examples: Sequence[Example], flagged: NDArray[np.bool_]
) -> list[list[float]]:
    """[probability, x, y, share of the picture, flagged] of the largest box of each fractured scan that has boxes.

    Enough to draw where fractures lie and how large they are; the boxes themselves stay in the data set.
    """
    marks = []
    for probability, example, found in zip(probabilities, examples, flagged, strict=True):
        if example.boxes:
            areas = _areas(example)
            x_min, y_min, x_max, y_max = example.boxes[int(np.argmax(areas))]
            place = (round((x_min + x_max) / 2, 2), round((y_min + y_max) / 2, 2))
            marks.append([round(float(probability), 4), *place, float(f"{max(areas):.2g}"), int(found)])
    return marks


def _areas(example: Example) -> list[float]:
    return [(x_max - x_min) * (y_max - y_min) for x_min, y_min, x_max, y_max in example.boxes]
