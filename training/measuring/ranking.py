"""Everything that is reported of a ranking: the same for a bundle and for pooled folds of a cross-validation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.manifest import Example
from training.measuring.bootstrap import DRAWS, group_weights, interval_95, order_measures
from training.measuring.calibration import reliability
from training.measuring.curves import curves
from training.measuring.errors import MOST_MISSES, described, fracture_marks, worst_misses
from training.measuring.localization import measure_localization
from training.measuring.points import Point, point_row
from training.measuring.sizes import picture_sizes
from training.measuring.subgroups import subgroup_rows

PREVALENCES = (0.02, 0.05, 0.20)


def measure_ranking(
    probabilities: NDArray[np.float64],
    examples: Sequence[Example],
    points: Sequence[Point],
    maps: NDArray[np.float32] | None = None,
    side: int | None = None,
    prevalences: Sequence[float] = PREVALENCES,
    draws: int = DRAWS,
    default: str | None = None,
) -> dict[str, Any]:
    """Figures of a ranking, safe for JSON, each with a 95% interval over groups; the same for any source of it.

    probabilities: (n,); maps: (n, h, w) with the side of the square input, or neither; default: the name of the point
    that subgroups and misses are told at, else the first. Raises ValueError where a class is missing. Reads the
    headers of the pictures for their sizes, and nothing else.
    """
    labels = np.array([e.fractured for e in examples])
    if labels.all() or not labels.any():
        raise ValueError(
            f"all {len(labels)} scans are of one class; a ranking is measured on fractured scans and others"
        )
    weights = group_weights([e.group for e in examples], draws)
    sizes = picture_sizes(examples)
    values, intervals = order_measures(probabilities, labels, weights)
    squares = (probabilities - labels) ** 2
    calibration_error, bins = reliability(probabilities, labels, weights)
    told = next(p for p in points if default is None or p.name == default)
    flagged = probabilities >= told.threshold
    misses = worst_misses(probabilities, labels, flagged)
    return {
        "n": len(labels),
        "fractured": int(labels.sum()),
        "groups": len({e.group for e in examples}),
        **values,
        "brier": float(squares.mean()),
        "calibration_error": calibration_error,
        "intervals_95": {
            **intervals,
            "brier": interval_95((weights @ squares) / weights.sum(1)),
        },
        "draws": draws,
        "reliability": bins,
        "operating_points": [point_row(p, probabilities, labels, weights, prevalences) for p in points],
        "told_at": told.name,
        "subgroups": subgroup_rows(probabilities, examples, flagged, weights, sizes),
        "localization": None
        if maps is None or side is None
        else measure_localization(maps, examples, side, sizes, weights),
        "misses": [described(i, examples[i], probabilities, labels) for i in misses[:MOST_MISSES]],
        "fracture_marks": fracture_marks(probabilities, examples, flagged),
        "curves": curves(probabilities, labels, weights),
    }
